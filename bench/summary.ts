import { type EndToEnd, endToEnd, type Link } from "./links.js";
import { mean } from "./numbers.js";
import type { Format, PictureResult } from "./pictures.js";
import type { Milliseconds, Passed } from "./pipeline.js";

/** One image through the pipeline and through the picture codecs. */
export interface ImageResult {
  readonly name: string;
  readonly passed: Passed;
  readonly pictures: readonly PictureResult[];
}

/** A way to send an image, averaged over the images. */
export interface Sender {
  /** `latentwire`, `JPEG 20`, .. */
  readonly name: string;
  readonly family: "latentwire" | "latent" | Format;
  readonly bytes: number;
  /** Milliseconds before the first byte can leave, and after the last has come. */
  readonly senderMs: number;
  readonly receiverMs: number;
}

export interface LinkRow {
  readonly link: Link;
  readonly ways: readonly { readonly sender: Sender; readonly time: EndToEnd }[];
}

export interface Summary {
  readonly images: number;
  readonly bytes: number;
  readonly symbols: number;
  readonly idealBytes: number;
  readonly escapes: number;
  readonly escapeBytes: number;
  readonly exact: boolean;
  /** Means over the images. */
  readonly ms: Milliseconds;
  readonly senders: readonly Sender[];
  readonly links: readonly LinkRow[];
}

export function summarize(results: readonly ImageResult[], links: readonly Link[]): Summary {
  const passed = results.map((result) => result.passed);
  const sum = (pick: (one: Passed) => number) => passed.reduce((total, one) => total + pick(one), 0);
  const ms = {
    encoder: mean(passed.map((one) => one.ms.encoder)),
    encode: mean(passed.map((one) => one.ms.encode)),
    decode: mean(passed.map((one) => one.ms.decode)),
    decoder: mean(passed.map((one) => one.ms.decoder)),
  };
  const bytes = sum((one) => one.packet.length);
  const latent: Sender = {
    name: "latentwire",
    family: "latentwire",
    bytes: bytes / results.length,
    senderMs: ms.encoder + ms.encode,
    receiverMs: ms.decode + ms.decoder,
  };
  const pictures = results[0].pictures.map(({ format, quality }, p): Sender => {
    const same = results.map((result) => result.pictures[p]);
    return {
      name: `${format} ${quality}`,
      family: format,
      bytes: mean(same.map((one) => one.bytes)),
      senderMs: mean(same.map((one) => one.encodeMs)),
      receiverMs: mean(same.map((one) => one.decodeMs)),
    };
  });
  const senders = [latent, ...pictures];
  return {
    images: results.length,
    bytes,
    symbols: sum((one) => one.symbols),
    idealBytes: sum((one) => one.ideal.bytes),
    escapes: sum((one) => one.ideal.escapes),
    escapeBytes: sum((one) => one.ideal.escapeBytes),
    exact: passed.every((one) => one.exact),
    ms,
    senders,
    links: links.map((link) => ({
      link,
      ways: senders.map((sender) => ({
        sender,
        time: endToEnd(link, sender.bytes, sender.senderMs, sender.receiverMs),
      })),
    })),
  };
}
