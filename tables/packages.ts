/** Packages that some commands need and that are not among our dependencies: the user's own ones. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CodecError } from "latentwire";

/** A package that is needed and not installed, or cannot be loaded. */
export class MissingPackage extends Error {
  readonly code = "MISSING_PACKAGE";

  constructor(
    message: string,
    /** The names of what is not installed. */
    readonly packages: readonly string[] = [],
  ) {
    super(message);
  }
}

/**
 * Before `npm install` on Linux: the install script of onnxruntime-node downloads files for GPUs there, which nothing here uses, and fails
 * behind many proxies.
 */
export const WITHOUT_GPU =
  process.platform === "linux" && process.arch === "x64" ? "ONNXRUNTIME_NODE_INSTALL=skip" : undefined;

/** The line that installs packages. */
function installing(names: readonly string[]): string {
  const line = `npm install ${names.join(" ")}`;
  const isSmaller = WITHOUT_GPU !== undefined && names.includes("onnxruntime-node");
  return isSmaller ? `${line} (with ${WITHOUT_GPU} before it no files for GPUs are downloaded)` : line;
}

/**
 * Loads a package, or a file of one, that stands beside this one, as in a project, or in the folder where the command runs, as with npx.
 *
 * @param why - `to run an encoder over images`
 * @throws {@link MissingPackage}
 */
export async function loadPackage<T>(name: string, why: string): Promise<T> {
  const [own] = name.split("/") as [string];
  // What is there and cannot be loaded is not missing.
  const judge = (error: NodeJS.ErrnoException) => {
    if (!/^(ERR_)?MODULE_NOT_FOUND$/.test(error.code ?? ""))
      throw new MissingPackage(`${own} is installed, but cannot be loaded: ${error.message.replace(/\s+/g, " ")}`);
  };
  const found = await import(name).catch(async (error) => {
    judge(error);
    try {
      const resolved = createRequire(join(process.cwd(), "package.json")).resolve(name);
      return await import(pathToFileURL(resolved).href);
    } catch (error) {
      judge(error as NodeJS.ErrnoException);
      throw new MissingPackage(`${own} is needed ${why}: ${installing([own])}`, [own]);
    }
  });
  return (found.default ?? found) as T;
}

/** What several loads give. Throws one {@link MissingPackage} that names all packages that are not installed. */
export async function loadAll<T extends readonly unknown[]>(
  why: string,
  loads: { readonly [K in keyof T]: Promise<T[K]> },
): Promise<T> {
  const settled = await Promise.allSettled(loads);
  const missing = settled.flatMap((one) =>
    one.status === "rejected" && one.reason instanceof MissingPackage ? one.reason.packages : [],
  );
  if (missing.length > 1)
    throw new MissingPackage(`${missing.join(", ")} are needed ${why}: ${installing(missing)}`, missing);
  return (await Promise.all(loads)) as unknown as T;
}

/** Turns what another package throws into one line with a code. */
export async function refusedAs<T>(code: "MODEL" | "INVALID_FILE", what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CodecError(code, `${what}: ${(error as Error).message.replace(/\s+/g, " ").trim()}`);
  }
}

/** The parts of onnxruntime-node that are used. */
export interface Runtime {
  readonly InferenceSession: {
    create(model: string | Uint8Array, options?: SessionOptions): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: RunTensor["data"], dims: readonly number[]) => RunTensor;
}

export interface SessionOptions {
  readonly intraOpNumThreads?: number;
  readonly interOpNumThreads?: number;
  readonly graphOptimizationLevel?: "disabled" | "basic" | "extended" | "all";
  /** 4: nothing that is not thrown as well. Without it warnings and errors go to standard error. */
  readonly logSeverityLevel?: 4;
}

/** A tensor of the runtime, on the CPU. */
export interface RunTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayLike<number> | ArrayLike<bigint> | ArrayLike<string>;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Not in every version. */
  readonly inputMetadata?: readonly { readonly name?: string; readonly shape?: readonly (number | string)[] }[];
  run(feeds: Record<string, unknown>, fetches?: readonly string[]): Promise<Record<string, RunTensor>>;
  release?(): Promise<void>;
}

export const loadRuntime = (why: string): Promise<Runtime> => loadPackage<Runtime>("onnxruntime-node", why);

/** The parts of sharp that are used. */
export type Sharp = (source: string | Uint8Array, options?: { raw: RawImage }) => SharpImage;

export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
}

export interface SharpImage {
  metadata(): Promise<{ readonly width?: number; readonly height?: number; readonly orientation?: number }>;
  extract(options: { left: number; top: number; width: number; height: number }): SharpImage;
  /** Without an angle: upright, as its EXIF data say. */
  rotate(): SharpImage;
  flatten(options: { background: string }): SharpImage;
  resize(options: { width: number; height: number; fit: "cover" | "fill"; kernel?: "lanczos3" }): SharpImage;
  removeAlpha(): SharpImage;
  toColourspace(space: "srgb" | "b-w"): SharpImage;
  jpeg(options: { quality: number }): SharpImage;
  webp(options: { quality?: number; lossless?: boolean }): SharpImage;
  raw(): SharpImage;
  toBuffer(): Promise<Uint8Array>;
}

export const loadSharp = (why: string): Promise<Sharp> => loadPackage<Sharp>("sharp", why);
