import sharp from "sharp";
import { toPlanes } from "../images.js";
import { encodePicture, type Format } from "../pictures.js";
import type { Backbone } from "./backbone.js";
import type { Way } from "./way.js";

/** AVIF's encoder takes several times as long as the others. */
const AVIF_IMAGES = 100;

const QUALITIES: readonly (readonly [Format, readonly number[]])[] = [
  ["PNG", [100]],
  ["JPEG", [5, 10, 20, 30, 50, 75, 90]],
  ["mozjpeg", [5, 10, 20, 30, 50, 75, 90]],
  ["WebP", [1, 5, 10, 20, 35, 50, 75, 90]],
  ["AVIF", [10, 25, 40, 60]],
];

const { vips, jpeg, mozjpeg, webp, heif, aom, png } = sharp.versions as Record<string, string | undefined>;
const ENCODERS = [vips, jpeg, mozjpeg, webp, heif, aom, png].filter(Boolean).join(" ");

function pictureWay(format: Format, quality: number, backbone: Backbone | undefined, engine: string): Way {
  return {
    codec: format,
    setting: format === "PNG" ? "" : String(quality),
    family: format,
    identity: `${ENCODERS}-${backbone?.identity ?? "no backbone"}-${engine}`,
    images: format === "AVIF" ? AVIF_IMAGES : Number.POSITIVE_INFINITY,
    async client({ rgb }) {
      const t0 = performance.now();
      const message = await encodePicture(rgb, format, quality);
      return { message, ms: { encoder: 0, codec: 0, image: performance.now() - t0 } };
    },
    async server(message) {
      const t0 = performance.now();
      const rgb = await sharp(message).toColourspace("srgb").removeAlpha().raw().toBuffer();
      const planes = toPlanes(rgb);
      const t1 = performance.now();
      const answer = backbone === undefined ? null : await backbone.whole(planes);
      const ms = { codec: 0, image: t1 - t0, decoder: 0, network: performance.now() - t1 };
      return { answer, features: null, ms };
    },
  };
}

/** PNG first: it loses nothing, so its answers are those of the backbone on the image itself. */
export function pictureWays(backbone: Backbone | undefined, engine: string): Way[] {
  return QUALITIES.flatMap(([format, qualities]) =>
    qualities.map((quality) => pictureWay(format, quality, backbone, engine)),
  );
}
