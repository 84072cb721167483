// Views: parts of tensors and tensors in another order are coded in place, and the same as copies.
import { type Codec, channels, checkerboardHalf, permute, type TensorLike, type TensorView } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { both } from "./builds.js";
import { copyOf, makeTable, productOf, type Random, random } from "./cases.js";
import { sameNumbers, throwMistakes, throwsCode, throwsMistake } from "./expect.js";
import { fieldOf, naturalScale } from "./guard-trial.js";

const rng = random(90);
const dims = [1, 12, 8, 10];
const n = 12 * 8 * 10;
const field = fieldOf(rng, n, naturalScale(rng));
const tensor = (data: Float32Array | Int32Array, shape = dims) => ({
  type: data instanceof Float32Array ? "float32" : "int32",
  dims: shape,
  data,
});
const y = tensor(field.latent);
const scales = tensor(field.scales);
const means = tensor(field.means);

/** A view with sides and gaps that none of the helpers makes: reversed, with steps, broadcast if wanted. */
function anyView(rng: Random, data: Float32Array | Int32Array, broadcast: boolean): TensorView {
  const rank = 1 + rng(4);
  const shape: number[] = [];
  const strides: number[] = [];
  let span = 1;
  let offset = 0;
  for (let d = 0; d < rank; d++) {
    const size = 1 + rng(6);
    if (span * size * 2 > data.length) break;
    const gap = 1 + rng(2);
    const stride = broadcast && rng(4) === 0 ? 0 : span * gap * (rng(3) === 0 ? -1 : 1);
    shape.push(size);
    strides.push(stride);
    if (stride < 0) offset -= stride * (size - 1);
    span *= size * gap;
  }
  offset += rng(Math.max(1, data.length - span));
  // Any order of the dimensions.
  for (let d = shape.length - 1; d > 0; d--) {
    const other = rng(d + 1);
    for (const list of [shape, strides]) [list[d], list[other]] = [list[other], list[d]];
  }
  return { type: data instanceof Float32Array ? "float32" : "int32", dims: shape, data, strides, offset };
}

type Any = TensorLike | TensorView;

function packetOf(codec: Codec, latent: Any, s: Any, m: Any) {
  const prior = codec.gaussian(s, { means: m });
  const writer = codec.writer({ indexChecks: true });
  const { data } = writer.write(latent, prior, { dequantize: true });
  // What takes views besides: the same elements in the same order.
  const alone = codec.encode(latent, prior);
  const symbols = codec.quantize(latent, prior);
  sameNumbers(codec.dequantize(symbols, prior).data, data);
  sameNumbers(codec.decode(alone, prior).data, data);
  return { packet: writer.finish(), data, alone, symbols: symbols.data, rate: codec.rate(latent, prior).bits };
}

const named: Record<string, (t: TensorLike) => TensorView> = {
  "the first channels": (t) => channels(t, 0, 5),
  "channels in the middle": (t) => channels(t, 3, 4),
  "the last channels": (t) => channels(t, 7, 12),
  "no channels": (t) => channels(t, 4, 4),
  rows: (t) => channels(t, 2, 7, 2),
  columns: (t) => channels(t, 1, 10, 3),
  anchors: (t) => checkerboardHalf(t, 0),
  "the others": (t) => checkerboardHalf(t, 1),
  NHWC: (t) => permute(t, [0, 2, 3, 1]),
  "width first": (t) => permute(t, [3, 0, 2, 1]),
  "anchors of a group of channels": (t) => checkerboardHalf(channels(t, 4, 8), 0),
  "a group of channels, pixel by pixel": (t) => permute(channels(t, 4, 8), [0, 2, 3, 1]),
  "a permuted half": (t) => permute(checkerboardHalf(t, 1), [0, 2, 3, 4, 1]),
};

for (const [what, viewOf] of Object.entries(named)) {
  both(`written and read in place: ${what}`, (codec) => {
    const before = field.latent.slice();
    const [view, s, m] = [y, scales, means].map(viewOf);
    const own = packetOf(codec, copyOf(view), copyOf(s), copyOf(m));
    const { packet, data, alone, symbols, rate } = packetOf(codec, view, s, m);
    sameNumbers(packet, own.packet);
    sameNumbers(data, own.data);
    sameNumbers(alone, own.alone);
    sameNumbers(symbols, own.symbols);
    assert.is(rate, own.rate);
    sameNumbers(field.latent, before, "the latent");

    // Into a view: its elements are those, and all others stay.
    const target = tensor(new Float32Array(n).fill(9));
    const reader = codec.reader(packet);
    const out = viewOf(target);
    assert.is(reader.read(codec.gaussian(s, { means: m }), { out }), out);
    reader.finish();
    sameNumbers(copyOf(out).data, own.data);
    const marks = viewOf(tensor(Int32Array.from({ length: n }, (_, i) => i)));
    const touched = new Set(copyOf(marks).data);
    target.data.forEach((value, i) => {
      if (!touched.has(i)) assert.is(value, 9);
    });
    const written = tensor(new Float32Array(n).fill(9));
    const writer = codec.writer({ indexChecks: true });
    const writeOut = viewOf(written);
    assert.is(writer.write(view, codec.gaussian(s, { means: m }), { out: writeOut }), writeOut);
    sameNumbers(writer.finish(), packet);
    sameNumbers(written.data, target.data);
  });
}

both("slices and halves together are the whole", (codec) => {
  const target = tensor(new Float32Array(n));
  const writer = codec.writer();
  const sliceViews = (t: TensorLike) =>
    [0, 4, 8].flatMap((c) => ([0, 1] as const).map((parity) => checkerboardHalf(channels(t, c, c + 4), parity)));
  const [latents, ss, ms, outs] = [y, scales, means, target].map(sliceViews);
  const sent = new Float32Array(n);
  const sentViews = sliceViews(tensor(sent));
  latents.forEach((view, i) => {
    writer.write(view, codec.gaussian(ss[i], { means: ms[i] }), { out: sentViews[i] });
  });
  const reader = codec.reader(writer.finish());
  outs.forEach((out, i) => {
    reader.read(codec.gaussian(ss[i], { means: ms[i] }), { out });
  });
  reader.finish();
  sameNumbers(target.data, sent);
  const whole = codec.writer();
  sameNumbers(whole.write(y, codec.gaussian(scales, { means }), { dequantize: true }).data, sent);
});

both("in place: the latent becomes what the reader sees", (codec) => {
  const own = tensor(field.latent.slice());
  const writer = codec.writer();
  for (const c of [0, 6]) {
    const view = channels(own, c, c + 6);
    writer.write(view, codec.gaussian(channels(scales, c, c + 6), { means: channels(means, c, c + 6) }), {
      out: view,
    });
  }
  const whole = codec.writer();
  sameNumbers(own.data, whole.write(y, codec.gaussian(scales, { means }), { dequantize: true }).data);
});

both("any view is its copy", (codec) => {
  const seeded = random(91);
  for (let round = 0; round < 300; round++) {
    const [a, b, c] = [field.latent, field.scales, field.means];
    const view = anyView(seeded, a, true);
    const like = (data: Float32Array): TensorView => ({ ...view, data, type: "float32" });
    const [one, two] = [
      packetOf(codec, view, like(b), like(c)),
      packetOf(codec, copyOf(view), copyOf(like(b)), copyOf(like(c))),
    ];
    for (const key of ["packet", "alone", "symbols"] as const)
      sameNumbers(one[key], two[key], `${key} of ${view.dims}/${view.strides}`);
  }
});

both("views of symbols, under factorized priors and given rows", (codec) => {
  const table = makeTable(random(92), { rows: 12, entries: 15, flavour: "peaked" });
  const symbols = tensor(Int32Array.from({ length: n }, () => rng(9) - 4));
  const rows = Uint8Array.from({ length: n }, () => rng(12));
  const write = (latent: Any, axis: number) => {
    const writer = codec.writer();
    writer.write(latent, codec.factorized(table, { axis }));
    writer.write(latent, codec.indexed(table, rows.subarray(0, productOf(latent.dims))));
    return writer.finish();
  };
  for (const [view, axis] of [
    [permute(symbols, [0, 2, 3, 1]), 3],
    [channels(symbols, 2, 7, 2), 1],
    [checkerboardHalf(symbols, 1), 1],
  ] as const) {
    const packet = write(view, axis);
    sameNumbers(packet, write(copyOf(view), axis));
    const reader = codec.reader(packet);
    const found = reader.read(codec.factorized(table, { axis }), { type: "int32" });
    assert.equal(found.dims, [...view.dims]);
    sameNumbers(found.data, copyOf(view).data);
    reader.close();
    const out = permute(
      tensor(new Float32Array(found.data.length), [...view.dims].reverse()),
      [...view.dims.keys()].reverse(),
    );
    const again = codec.reader(packet);
    again.read(codec.factorized(table, { axis }), { out });
    sameNumbers(copyOf(out).data, copyOf(view).data);
  }
});

both("what is no view", (codec) => {
  const data = new Float32Array(24);
  const whole: TensorView = { type: "float32", dims: [2, 3, 4], data, strides: [12, 4, 1] };
  const prior = codec.gaussian(new Float32Array(24).fill(1));
  const refuse = (view: Partial<TensorView>, what: string) =>
    throwsMistake(() => codec.writer().write({ ...whole, ...view }, prior), TypeError, what);
  refuse({ strides: [12, 4] }, "strides");
  refuse({ strides: [12, 4, 1.5] }, "strides");
  refuse({ offset: 0.5 }, "offset");
  // Elements that are not there.
  for (const view of [{ strides: [12, 4, 2] }, { offset: 1 }, { offset: -1 }, { strides: [-12, 4, 1] }])
    throwsCode(() => codec.writer().write({ ...whole, ...view }, prior), "SHAPE_MISMATCH");
  throwMistakes([
    [RangeError, "13", () => channels(y, 0, 13)],
    [RangeError, "5", () => channels(y, 5, 4)],
    [RangeError, "4", () => channels(y, 0, 1, 4)],
    [RangeError, "order", () => permute(y, [0, 1, 2])],
    [RangeError, "order", () => permute(y, [0, 1, 2, 2])],
    [RangeError, "even", () => checkerboardHalf(tensor(new Float32Array(15), [1, 3, 5]), 0)],
    [RangeError, "parity", () => checkerboardHalf(y, 2 as 1)],
  ]);
  // A target in which two elements share a place, or of another type.
  const writer = codec.writer();
  const latent = { type: "float32", dims: [24], data };
  const out = { type: "int32", dims: [24], data: new Int32Array(24), strides: [1] } as never;
  throwsMistake(() => writer.write(latent, prior, { out }), TypeError, "out");
  throwsMistake(() => writer.write(latent, prior, { out: new Float32Array(23) }), RangeError, "out");
  writer.write(latent, prior);
  assert.ok(writer.finish().length > 0);
});

test("checkerboard halves are those with (h + w) even and odd, row by row", () => {
  const board = tensor(
    Int32Array.from({ length: 2 * 4 * 6 }, (_, i) => i),
    [2, 4, 6],
  );
  for (const parity of [0, 1] as const) {
    const expected: number[] = [];
    for (let c = 0; c < 2; c++)
      for (let h = 0; h < 4; h++)
        for (let w = 0; w < 6; w++) if ((h + w) % 2 === parity) expected.push(24 * c + 6 * h + w);
    const view = checkerboardHalf(board, parity);
    assert.equal(view.dims, [2, 2, 2, 3]);
    assert.equal([...copyOf(view).data], expected);
  }
});

both("grids of blocks, rows and columns at any distances, longer than what passes through Wasm at once", (codec) => {
  const rng = random(71);
  const table = { offsets: [-2], cdfs: [[0, 9000, 20000, 40000, 55000, 65000, 65536]] };
  for (let round = 0; round < 120; round++) {
    const dims = [1 + rng(round % 10 === 0 ? 6000 : 300), 1 + rng(4), 1 + rng(40)];
    const steps = [(1 + rng(50)) * (rng(2) * 2 - 1), (1 + rng(3)) * (rng(2) * 2 - 1)];
    const reach = steps.map((step, d) => step * (dims[d + 1] - 1));
    const width = reach.reduce((sum, x) => sum + Math.abs(x), 1);
    const strides = [width + rng(20), ...steps];
    const offset = reach.reduce((sum, x) => sum - Math.min(x, 0), rng(5));
    const length = offset + dims[0] * strides[0] + width;
    const data = Float32Array.from({ length }, () => rng(5) - 2);
    const view = { type: "float32", dims, data, strides, offset };
    const dense = copyOf(view);
    const prior = codec.indexed(table, new Uint16Array(dense.data.length));
    const packet = codec.encode(view, prior);
    sameNumbers(packet, codec.encode(dense, prior));
    const target = new Float32Array(length).fill(9);
    const reader = codec.reader(packet);
    reader.read(prior, { out: { ...view, data: target } });
    reader.finish();
    const places = copyOf({ ...view, type: "int32", data: Int32Array.from(data, (_, i) => i) }).data;
    const expected = new Float32Array(length).fill(9);
    places.forEach((at, i) => {
      expected[at] = dense.data[i];
    });
    sameNumbers(target, expected);
  }
});

both("out may be an input's own memory, each element at its place; another overlap is refused", (codec) => {
  const count = 150_000;
  const cdf = [0, 8000, 16000, 30000, 40000, 57000, 65535, 65536];
  const prior = codec.factorized({ offsets: [-3], cdfs: [cdf] }, { axis: 0, step: 0.5 });
  const values = Float32Array.from({ length: count }, (_, i) => (((i * 7919) % 7) - 3) * 0.5 + 0.1);
  for (const Buffer of [ArrayBuffer, SharedArrayBuffer]) {
    const room = new Float32Array(new Buffer(4 * (count + 70_000)) as ArrayBuffer);
    const at = (from: number) => ({ type: "float32", dims: [1, count], data: room.subarray(from, from + count) });
    const view = (offset: number, strides = [count, 1]) => ({
      type: "float32",
      dims: [1, count],
      data: room,
      strides,
      offset,
    });
    room.set(values, 0);
    const write = (from: TensorLike | TensorView, out: TensorView) => {
      const writer = codec.writer();
      writer.write(from, prior, { out });
      return writer.finish();
    };
    const expected = codec.decode(codec.encode({ type: "float32", dims: [1, count], data: values }, prior), prior).data;
    for (const out of [view(66_000), view(1), view(count - 1, [1, -1])])
      throwsMistake(() => write(at(0), out), RangeError, "the latent");
    // Every element at one place.
    throwsMistake(() => write(view(0, [0, 0]), view(0, [0, 0])), RangeError, "the latent");
    sameNumbers(codec.decode(write(at(0), view(0)), prior).data, expected);
    sameNumbers(room.subarray(0, count), expected);

    const pairs = { ...view(1, [2 * 70_000, 2]), dims: [1, 70_000] };
    for (let i = 0; i < 70_000; i++) room[2 * i + 1] = values[i];
    sameNumbers(codec.decode(write(pairs, pairs), prior).data, expected.slice(0, 70_000));

    // A reader's means, of which later ones are still to be read.
    const rows = new Uint16Array(count);
    room.set(values, 0);
    const centred = (means: TensorLike | TensorView) =>
      codec.indexed({ offsets: [-3], cdfs: [cdf] }, rows, { means: means as TensorLike, step: 0.5 });
    const coded = codec.encode({ type: "float32", dims: [1, count], data: values.map((v) => v + 1) }, centred(at(0)));
    const right = codec.decode(coded, centred({ type: "float32", dims: [1, count], data: values })).data;
    const shifted = room.subarray(1, count + 1);
    throwsMistake(() => codec.decode(coded, centred(at(0)), { out: shifted }), RangeError, "the means");
    throwsMistake(() => codec.reader(coded).read(centred(at(0)), { out: shifted }), RangeError, "the means");
    sameNumbers(codec.decode(coded, centred(at(0)), { out: room.subarray(0, count) }).data, right);
  }
});

test.run();
