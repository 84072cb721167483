/**
 * A model that compressai_export.py wrote: its networks and tables, under the names that its family wants.
 * docs/families.md has an example of every family.
 *
 * @module
 */
import { CodecError, shown } from "../bindings/errors.js";
import { kindOf } from "../bindings/kinds.js";
import {
  autoregressive,
  channelGroups,
  checkerboard,
  type DecodeFamilyOptions,
  type Encoded,
  type EncodeFamilyOptions,
  elic,
  type Family,
  type Format,
  factorized,
  gain,
  meanScale,
  mixture,
  recursive,
  type SessionLike,
  type SessionTensor,
  scale,
  type VariableRateOptions,
  variableRate,
} from "../bindings/onnx.js";
import { checkOptions } from "../bindings/options.js";
import { checkCodec, feed, pick, runToCpu } from "../bindings/session.js";
import { isBytes } from "../bindings/tensor.js";
import type { Codec, TensorLike } from "../bindings/types.js";
import { type Bundle, loadBundle } from "./bundle.js";
import { inPlace, readSource } from "./bundle-source.js";

/** The part of an ONNX runtime that is used: its `InferenceSession`. */
export interface SessionMaker {
  /** Makes a session of a path, a URL or bytes. */
  create(model: never, options?: never): Promise<unknown>;
}

/** What {@link loadModel} needs. */
export interface LoadModelOptions {
  /** From `create()`. */
  codec: Codec;
  /** The runtime (`import * as ort from "onnxruntime-node"`), or its `InferenceSession`. */
  runtime: SessionMaker | { readonly InferenceSession: SessionMaker };
  /** What `InferenceSession.create` gets as its options, such as `{ executionProviders: ["webgpu", "wasm"] }`. */
  sessionOptions?: object | undefined;
  /** Leaves out the networks that only the other side runs. Default: all are loaded. */
  side?: "encoder" | "decoder" | undefined;
  /** Which model of a folder with several: `img`, `motion`, `res` of ssf2020. */
  part?: string | undefined;
  /** Fields of the family's model that the folder does not have, such as `gains`, or that replace its own. */
  model?: object | undefined;
  /** Reads a file of the folder. Default: the runtime reads the networks; in Node a path is a file, elsewhere a URL. */
  read?: ((file: string) => Promise<Uint8Array>) | undefined;
}

/** Options of a model with many rates, and of a family. */
export type LoadedEncodeOptions<F extends Format = Format> = EncodeFamilyOptions<F> & Partial<VariableRateOptions>;

/** What {@link loadModel} returns. */
export interface LoadedModel {
  /** Its family: `meanScale`, `elic`, .. */
  readonly name: string;
  /** The family's value in `latentwire/onnx`, to be called with {@link model}. */
  // biome-ignore lint/suspicious/noExplicitAny: which model a family takes is known when the folder is read
  readonly family: Family<any, any, Partial<VariableRateOptions>>;
  /** What the family calls: sessions, priors, rows, numbers. */
  readonly model: Readonly<Record<string, unknown>>;
  /** All tables of the folder. `bundle.meta.parameters` has the model's numbers outside of networks. */
  readonly bundle: Bundle;
  /** From the image to y; undefined if the folder has none or `side` is `decoder`. */
  readonly g_a: SessionLike | undefined;
  /** From y to the image or the features; undefined if the folder has none or `side` is `encoder`. */
  readonly g_s: SessionLike | undefined;
  /**
   * Runs g_a and encodes y. Without g_a `input` is y.
   *
   * @throws what the family's `encode` throws.
   */
  encode<F extends Format = "packet">(input: SessionTensor, options?: LoadedEncodeOptions<F>): Promise<Encoded<F>>;
  /**
   * Decodes y and runs g_s.
   *
   * @returns the output of g_s as the session gave it; without g_s the latent, which is the encoder's `latent`.
   * @throws what the family's `decode` throws.
   */
  decode(
    packet: Uint8Array | ArrayBuffer | readonly Uint8Array[],
    options?: DecodeFamilyOptions & Partial<VariableRateOptions>,
  ): Promise<SessionTensor>;
}

const families = {
  autoregressive,
  channelGroups,
  checkerboard,
  elic,
  factorized,
  gain,
  meanScale,
  mixture,
  recursive,
  scale,
  variableRate,
};

/** What the bundle says of a model. */
interface Description {
  readonly family: string;
  readonly model: Readonly<Record<string, unknown>>;
  readonly prior: string | readonly string[];
  readonly rows?: string;
  readonly g_a?: string;
  readonly g_s?: string;
}

/** Networks that only one side runs. */
const ENCODER = ["g_a", "h_a", "h_a1", "h_a2"];
const DECODER = ["g_s"];
const OPTIONS = ["codec", "runtime", "sessionOptions", "side", "part", "model", "read"];
const NETWORK = /^[\w-][\w.-]*\.onnx$/;

/**
 * Opens a folder that `compressai_export.py` wrote: makes the sessions, loads the bundle, and puts both under the names
 * that the family wants. No runtime is imported: give yours.
 *
 * @param base - path of the folder, or its URL.
 * @throws CodecError `MODEL` where the bundle describes no model, or a network cannot be loaded; what `loadBundle` throws; RangeError for a `part` that
 * is not there; TypeError for a wrong argument.
 */
export async function loadModel(base: string | URL, options: LoadModelOptions): Promise<LoadedModel> {
  const read = checkOptions("loadModel", options, OPTIONS);
  const { codec, part, model: given } = read;
  checkCodec(codec);
  const folder = new Folder(base, read);
  const bundle = await folder.bundle();
  const described = describedIn(bundle, part);
  const family = familyOf(described);
  const model = await modelOf(codec, folder, bundle, described, given);
  const g_a = await folder.session("g_a", described.g_a);
  const g_s = await folder.session("g_s", described.g_s);
  const kind = family as LoadedModel["family"];
  return {
    name: described.family,
    family: kind,
    model,
    bundle,
    g_a,
    g_s,
    async encode(input, options) {
      return kind.encode(codec, model, g_a === undefined ? input : await run(g_a, input), options as object);
    },
    async decode(packet, options) {
      const latent = await kind.decode(codec, model, packet, options);
      return g_s === undefined ? latent : run(g_s, latent);
    },
  };
}

/** The family that the bundle names. */
function familyOf({ family }: Description): (typeof families)[keyof typeof families] {
  if (Object.hasOwn(families, family)) return families[family as keyof typeof families];
  throw new CodecError("MODEL", `the family ${family} is none of ${Object.keys(families).join(", ")}`);
}

/** What the family is called with: sessions, priors and tables. Fields of `given` replace these. */
async function modelOf(
  codec: Codec,
  folder: Folder,
  bundle: Bundle,
  { family, model: networks, prior, rows }: Description,
  given: object | undefined,
): Promise<Record<string, unknown>> {
  const model: Record<string, unknown> = {
    ...((await folder.withSessions("", networks)) as object),
    prior:
      typeof prior === "string" ? bundle.factorized(codec, prior) : prior.map((name) => bundle.factorized(codec, name)),
    ...given,
  };
  if (rows !== undefined && model.table === undefined) {
    model.table = bundle.table(codec, rows);
    model.scaleTable = bundle.scaleTable(rows);
    // Of a bundle that `latentwire tables fit --context` has added one to.
    if (family === "scale" || family === "meanScale") model.context ??= bundle.parameters(rows);
  }
  return model;
}

/** The files of an exported model. A network that several places name is opened once. */
class Folder {
  readonly #base: string | URL;
  readonly #maker: SessionMaker;
  readonly #options: LoadModelOptions;
  /** Names of networks that only the other side runs. */
  readonly #skipped: readonly string[];
  readonly #sessions = new Map<string, Promise<SessionLike>>();

  constructor(base: string | URL, options: LoadModelOptions) {
    const { runtime, side } = options;
    this.#base = base;
    this.#options = options;
    this.#maker = runtime && "InferenceSession" in runtime ? runtime.InferenceSession : (runtime as SessionMaker);
    if (typeof this.#maker?.create !== "function")
      throw new TypeError("runtime must be an ONNX runtime, or its InferenceSession");
    if (side !== undefined && side !== "encoder" && side !== "decoder")
      throw new RangeError(`side must be "encoder" or "decoder", not ${shown(side)}`);
    this.#skipped = side === "encoder" ? DECODER : side === "decoder" ? ENCODER : [];
  }

  async bundle(): Promise<Bundle> {
    const { read } = this.#options;
    if (read) return inPlace("model.lwb", async () => loadBundle(await read("model.lwb")));
    return loadBundle(this.#place("model.lwb"));
  }

  /** The path or the URL of a file. */
  #place(file: string): string | URL {
    const base = this.#base;
    if (typeof base !== "string" && !(base instanceof URL))
      throw new TypeError("base must be the folder's path or its URL");
    const folder = String(base).replace(/\/*$/, "/");
    return base instanceof URL ? new URL(file, folder) : `${folder}${file}`;
  }

  /** The session of a network. Undefined where there is no such network, and where only the other side runs it. */
  session(name: string, file: string | undefined): Promise<SessionLike> | undefined {
    if (file === undefined || this.#skipped.includes(name)) return undefined;
    const session = this.#sessions.get(file) ?? this.#open(file);
    this.#sessions.set(file, session);
    return session;
  }

  async #open(file: string): Promise<SessionLike> {
    if (!NETWORK.test(file)) throw new CodecError("MODEL", `${file} is no name of a network in the folder`);
    const { read, sessionOptions } = this.#options;
    const at = this.#place(file);
    let source: Uint8Array | string | undefined;
    try {
      const isFile = at instanceof URL && at.protocol === "file:";
      source = read ? await read(file) : isFile ? await readSource(at, 2 ** 31) : String(at);
      return (await this.#maker.create(source as never, sessionOptions as never)) as SessionLike;
    } catch (cause) {
      const kind = isBytes(source) && kindOf(source);
      const why = kind ? `the input is ${kind}` : cause instanceof Error ? cause.message : cause;
      throw new CodecError("MODEL", `${read ? file : at}: ${why}`, { cause });
    }
  }

  /**
   * A copy of what the bundle says of a model, with sessions in the places of their files. `name` is the field that holds
   * `value`.
   */
  async withSessions(name: string, value: unknown): Promise<unknown> {
    if (typeof value === "string" && value.endsWith(".onnx")) return this.session(name, value);
    if (typeof value !== "object" || value === null) return value;
    const copy: [string, unknown][] = [];
    // One after the other: some backends refuse to make two sessions at once.
    for (const [key, item] of Object.entries(value)) copy.push([key, await this.withSessions(key, item)]);
    return Array.isArray(value) ? copy.map(([, item]) => item) : Object.fromEntries(copy);
  }
}

/** The only output of a session with one input. */
async function run(session: SessionLike, tensor: TensorLike): Promise<SessionTensor> {
  const input = pick("input", session.inputNames, undefined);
  const output = pick("output", session.outputNames, undefined);
  const feeds = { [input]: "location" in tensor ? tensor : feed(tensor) };
  return (await runToCpu(session, feeds, [output]))[output]!;
}

/** What the bundle says of one of its models. */
function describedIn(bundle: Bundle, part: string | undefined): Description {
  const models = bundle.meta.models as Readonly<Record<string, Description>> | undefined;
  const names = models && typeof models === "object" ? Object.keys(models) : [];
  if (names.length === 0)
    throw new CodecError(
      "MODEL",
      "the bundle describes no model: compressai_export.py writes one that does, for models of latentwire's families",
    );
  const name = part ?? (names.length === 1 ? names[0]! : undefined);
  if (name === undefined || !names.includes(name))
    throw new RangeError(`part must be one of ${names.join(", ")}, not ${shown(part)}`);
  const found = models![name]!;
  const isName = (value: unknown) => typeof value === "string";
  const priors = Array.isArray(found?.prior) ? found.prior : [found?.prior];
  if (!isName(found?.family) || typeof found.model !== "object" || !priors.every(isName))
    throw new CodecError("MODEL", `the bundle's description of ${name} has no family, no model or no prior`);
  return found;
}
