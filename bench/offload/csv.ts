import type { Point } from "./points.js";

const field = (value: unknown) => {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** One line per point, every number with all its digits. */
export function toCsv(points: readonly Point[]): string {
  const head = "codec,setting,images,bytes,bytes_low,bytes_high,top1,top1_low,top1_high,agreement,feature_error";
  const parts =
    "client_encoder_ms,client_codec_ms,client_image_ms,server_codec_ms,server_image_ms,server_decoder_ms,server_network_ms";
  const links = points[0].links.map(({ link }) => `${link.toLowerCase().replace(/[^a-z0-9]+/g, "_")}_ms`);
  const lines = points.map((p) =>
    [
      ...[p.codec, p.setting, p.images, p.bytes, ...(p.bytes95 ?? ["", ""])],
      ...[p.top1, ...(p.top195 ?? ["", ""]), p.agreement, p.featureError],
      ...[p.client.encoder, p.client.codec, p.client.image],
      ...[p.server.codec, p.server.image, p.server.decoder, p.server.network],
      ...p.links.map(({ totalMs }) => totalMs),
    ]
      .map(field)
      .join(","),
  );
  return `${[[head, parts, ...links].join(","), ...lines].join("\n")}\n`;
}
