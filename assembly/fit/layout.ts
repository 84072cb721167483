// Sizes of the network and places of everything in the shared memory. Each thread computes them from the same numbers.

/** Positions of one step of training. */
export const BATCH: i32 = 256;
/** Positions that one thread takes at a time, of one sample where samples are large enough. */
export const CHUNK: i32 = 16;
/** Hidden units are held in strips of 32, so that a strip's sum fits into registers. */
export const STRIP: i32 = 32;
export const ROW_BYTES: usize = 128;
/** Slots of what a position reads: own taps, the other five of the 3 x 3 neighbourhood, four edges, the number of a given row, zeros. */
export const SLOTS: i32 = 32;
/** Slots with rows that the first layer reads, beside the taps; 9 slots of the neighbourhood follow. */
export const MORE_SLOTS: i32 = 10;
/** The neighbourhood shares its first slots with the nearest taps. */
export const SHARED_SLOTS: i32 = 4;
/** Rows of a channel for what later channels read: 9 pairs, ring, glob. */
export const NEXT_ROWS: i32 = 20;

export let channels: i32 = 0;
export let strips: i32 = 0;
export let hidden2: i32 = 0;
export let taps: i32 = 0;
/** Hidden units of the second layer, two outputs and two numbers that stay 0. */
export let outputs: i32 = 0;
/** Whether symbols are given rows. */
export let hasGiven: bool = false;
/** Rows of 32 weights per strip of a channel, and what they are: 2 x taps, run, bias, edges, 20 next, outputs, 2 of given rows. */
export let rows: i32 = 0;
export let runRow: i32 = 0;
export let edgeRow: i32 = 0;
export let nextRow: i32 = 0;
export let outputRow: i32 = 0;
export let givenRow: i32 = 0;
/** Bytes of a channel's weights: its strips, then W3 (2 x outputs) and b (outputs). */
export let channelBytes: usize = 0;
/** Bytes of a strip's signed rows: for each slot the row of a positive and of a negative cell. */
export let signedBytes: usize = 0;

/** Tickets taken, tasks done. */
export let control: usize = 0;
/** Rows of a float per channel: 1 / sd, sd, log2 of sd, mass that the logistic shares. */
export let scales: usize = 0;
export let scaleBytes: usize = 0;
/** Sums of code lengths, f64 per channel. */
export let sums: usize = 0;
export let weights: usize = 0;
export let firstMoments: usize = 0;
export let secondMoments: usize = 0;
export let signed: usize = 0;
// Of each position of the batch, by strip.
export let states: usize = 0;
export let stateGradients: usize = 0;
// Of each channel and position: i16 slots; run, ring, glob as rows of the batch; hidden units and gradients by strip.
export let cells: usize = 0;
export let values: usize = 0;
export let hiddens: usize = 0;
export let hiddenGradients: usize = 0;
export let nextGradients: usize = 0;
export let secondHiddens: usize = 0;
export let outputGradients: usize = 0;
/** Code length, target, gradient of mean and of scale: rows of the batch. */
export let losses: usize = 0;
/** Of each thread. */
export let scratch: usize = 0;
/** Where samples may begin. */
export let end: usize = 0;

/** A float for each position of the batch: a row of {@link values} or {@link losses}. */
export const BATCH_BYTES: usize = 4 * 256;
// A little more than the batch takes: the rows of one chunk in all channels should not fall into the same sets of the cache.
export const CELL_STRIDE: usize = 256 * 64 + 16 * 64 + 64;
export const HIDDEN_STRIDE: usize = 256 * 128 + 16 * 128 + 64;
export const VALUE_STRIDE: usize = 3 * BATCH_BYTES;
export const LOSS_STRIDE: usize = 4 * BATCH_BYTES;
/** A strip's gradients, two rows for sums, cells by slot. */
export const SCRATCH_BYTES: usize = (128 + 2) * 128 + 2 * 32 * 256;

/** Lays the memory out from `start`. Returns where it ends. */
export function configure(
  start: usize,
  channelCount: i32,
  hidden: i32,
  secondHidden: i32,
  tapCount: i32,
  threads: i32,
  given: bool,
): usize {
  channels = channelCount;
  strips = hidden / STRIP;
  hidden2 = secondHidden;
  taps = tapCount;
  outputs = secondHidden + 4;
  runRow = 2 * taps;
  edgeRow = runRow + 2;
  nextRow = edgeRow + 4;
  outputRow = nextRow + NEXT_ROWS;
  givenRow = outputRow + outputs;
  hasGiven = given;
  rows = givenRow + (given ? 2 : 0);
  channelBytes = <usize>strips * rows * ROW_BYTES + 3 * <usize>outputs * 4;
  signedBytes = 2 * <usize>(taps + MORE_SLOTS + 9) * ROW_BYTES;
  const many = <usize>channels;
  const positions = many * BATCH;
  // Eight channels are gathered at once.
  const wholeGroups = (many + 7) & ~7;
  const wide = <usize>strips * ROW_BYTES;
  end = start;
  control = place(256);
  scaleBytes = wholeGroups * 4;
  scales = place(4 * scaleBytes);
  sums = place(many * 8);
  weights = place(many * channelBytes);
  firstMoments = place(many * channelBytes);
  secondMoments = place(many * channelBytes);
  signed = place(many * strips * signedBytes);
  states = place(<usize>BATCH * wide);
  stateGradients = place(<usize>BATCH * wide);
  cells = place(wholeGroups * CELL_STRIDE);
  values = place(wholeGroups * VALUE_STRIDE);
  hiddens = place(many * strips * HIDDEN_STRIDE);
  hiddenGradients = place(many * strips * HIDDEN_STRIDE);
  nextGradients = place(many * strips * HIDDEN_STRIDE);
  secondHiddens = place(positions * outputs * 4);
  outputGradients = place(positions * outputs * 4);
  losses = place(wholeGroups * LOSS_STRIDE);
  scratch = place(<usize>threads * SCRATCH_BYTES);
  store<f32>(ones(), 1);
  return end;
}

/** A float that is 1. */
@inline
export function ones(): usize {
  return control + 128;
}

/** Takes `size` bytes, a line of the cache apart from what others write. */
function place(size: usize): usize {
  const at = (end + 63) & ~63;
  end = at + size;
  return at;
}

/** A number of {@link scales}: 0 1 / sd, 1 sd, 2 log2 of sd, 3 mass. */
@inline
export function scaleOf(channel: i32, row: i32): usize {
  return scales + <usize>row * scaleBytes + (<usize>channel << 2);
}

/** Rows of a channel's strip. */
@inline
export function stripOf(base: usize, channel: i32, strip: i32): usize {
  return base + <usize>channel * channelBytes + <usize>(strip * rows) * ROW_BYTES;
}

/** W3 and b of a channel, behind its strips. */
@inline
export function tailOf(base: usize, channel: i32): usize {
  return base + <usize>channel * channelBytes + <usize>(strips * rows) * ROW_BYTES;
}

@inline
export function signedOf(channel: i32, strip: i32): usize {
  return signed + <usize>(channel * strips + strip) * signedBytes;
}

/** The row of a position's hidden units, or of their gradients. */
@inline
export function hiddenOf(base: usize, channel: i32, strip: i32, position: i32): usize {
  return base + <usize>(channel * strips + strip) * HIDDEN_STRIDE + <usize>position * ROW_BYTES;
}

@inline
export function cellsOf(channel: i32, position: i32): usize {
  return cells + <usize>channel * CELL_STRIDE + (<usize>(position * SLOTS) << 1);
}

@inline
export function outputsOf(base: usize, channel: i32, position: i32): usize {
  return base + (<usize>(channel * BATCH + position) * outputs) * 4;
}

/** The slot of the number of a given row. */
@inline
export function givenSlot(): i32 {
  return taps + MORE_SLOTS - 1;
}

/** A row of the batch of {@link values}: 0 run, 1 ring, 2 glob. */
@inline
export function valuesOf(channel: i32, row: i32): usize {
  return values + <usize>channel * VALUE_STRIDE + <usize>row * BATCH_BYTES;
}

/** A row of the batch of {@link losses}: 0 bits, 1 target, 2 gradient of the mean, 3 of the scale. */
@inline
export function lossesOf(channel: i32, row: i32): usize {
  return losses + <usize>channel * LOSS_STRIDE + <usize>row * BATCH_BYTES;
}
