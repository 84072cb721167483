/** What the page's two ends know: the files that the build lays beside the page, and the priors in them. */
import type { Codec, Prior } from "latentwire";
import { loadBundle } from "latentwire/bundle";

/** One way to split the network, as `setup.json` has it. */
export interface PointSetup {
  readonly name: string;
  /** What it is, in the words of the page. */
  readonly label: string;
  readonly encoder: string;
  /** From the latent to the backbone's features; an untrained cut needs none. */
  readonly decoder?: string;
  /** Bundles with a context prior, from fine to coarse. */
  readonly bundles: readonly string[];
}

export interface Setup {
  /** From the most bytes to the fewest. */
  readonly points: readonly PointSetup[];
  /** The point that is chosen first. */
  readonly first: string;
  /** Photograph -> features, features -> logits: both are parts of the one backbone. */
  readonly head: string;
  readonly tail: string;
  readonly labels: string;
  readonly photos: readonly { readonly url: string; readonly name: string; readonly credit: string }[];
  readonly links: readonly { readonly name: string; readonly mbitPerSecond: number; readonly rttMs: number }[];
}

/** The priors of one point, from fine to coarse. */
export interface Ladder {
  readonly context: readonly Prior[];
  /** The same rows without the context. */
  readonly fixed: readonly Prior[];
}

export async function loadLadder(codec: Codec, { bundles }: PointSetup): Promise<Ladder> {
  const loaded = await Promise.all(bundles.map((url) => loadBundle(url)));
  const priors = (options: { context?: boolean }) =>
    loaded.map((bundle) => bundle.factorized(codec, bundle.entries[0]!.name, options));
  return { context: priors({}), fixed: priors({ context: false }) };
}

export async function loadSetup(): Promise<Setup> {
  const response = await fetch("setup.json");
  if (!response.ok) throw new Error(`setup.json: ${response.status}`);
  return response.json();
}

/** A class of the network, and how sure it is. */
export interface Guess {
  readonly class: number;
  readonly label: string;
  readonly probability: number;
}

/** What the receiver says of one request. */
export interface Answer {
  /** The likeliest classes, in descending order. */
  readonly guesses: readonly Guess[];
  /** Of a packet: the point whose prior it was coded under. */
  readonly point?: string;
  /** Of a packet: how strong the features are at each place, one byte each, and how wide the picture is. */
  readonly strength?: { readonly width: number; readonly bytes: Uint8ClampedArray };
  /** Milliseconds: reading the bytes, and running the networks. */
  readonly decodeMs: number;
  readonly networkMs: number;
}

/** To the receiver: a packet, or an image of 1 x 3 x 224 x 224. */
export type Request = { readonly packet: Uint8Array } | { readonly planes: Float32Array };
