import type { Codec } from "latentwire";
import type { Backbone } from "./backbone.js";
import type { Model } from "./model.js";
import { type Packer, packers } from "./packers.js";
import type { Way } from "./way.js";

/** Compressors of the highest levels need 15 to 70 ms for a latent. */
const SLOW_IMAGES = 100;

function way(
  model: Model,
  backbone: Backbone | undefined,
  packer: Packer,
  engine: string,
  rest: Omit<Way, "identity" | "client" | "server" | "unquantized">,
): Way {
  return {
    ...rest,
    identity: `${model.identity}-${backbone?.identity ?? "no backbone"}-${engine}`,
    async client(picture) {
      const t0 = performance.now();
      const latent = await model.latent(picture.planes);
      const t1 = performance.now();
      const message = packer.pack(latent);
      const codec = performance.now() - t1;
      return { message, ms: { encoder: t1 - t0, codec, image: 0 } };
    },
    async server(message) {
      const t0 = performance.now();
      const { data, dims } = packer.unpack(message, model.latentDims);
      const t1 = performance.now();
      const features = await model.features(data, dims);
      const t2 = performance.now();
      const answer = backbone === undefined ? null : await backbone.tail(features);
      const ms = { codec: t1 - t0, image: 0, decoder: t2 - t1, network: performance.now() - t2 };
      return { answer, features: features.data as Float32Array, ms };
    },
    async unquantized(picture) {
      const latent = await model.latent(picture.planes);
      return (await model.features(latent.data as Float32Array, latent.dims)).data as Float32Array;
    },
  };
}

/** A model point at several quantization steps, and what people send today instead of a packet. */
export function splitWays(
  codec: Codec,
  model: Model,
  backbone: Backbone | undefined,
  steps: readonly number[],
  engine: string,
): Way[] {
  const { packet, raw } = packers(codec, (step) => model.prior(codec, step));
  const ours = steps.map((step) =>
    way(model, backbone, packet(step), engine, {
      codec: "latentwire",
      setting: step === 1 ? model.name : `${model.name} step ${step}`,
      family: "latentwire",
      images: Number.POSITIVE_INFINITY,
    }),
  );
  const first = steps.indexOf(1);
  const others = raw.map(({ name, slow, exact, ...packer }) =>
    way(model, backbone, packer, engine, {
      codec: name,
      setting: model.name,
      family: "latent",
      images: slow ? SLOW_IMAGES : Number.POSITIVE_INFINITY,
      ...(exact && first >= 0 ? { answersAs: ours[first] } : {}),
    }),
  );
  return [...ours, ...others];
}
