import type { Picture } from "../../images.js";
import { endToEnd, type Link } from "../../links.js";
import { median } from "../../numbers.js";
import { bar } from "../../terminal.js";
import { nameOf, type Way } from "../way.js";
import type { Setup } from "../ways.js";
import { Connection, startServer } from "./client.js";

/** Passes over each image, after one that is not counted. */
const PASSES = 5;

/** Medians of one way over one link. */
export interface Observed {
  readonly link: string;
  readonly name: string;
  readonly bytes: number;
  /** From the picture in memory to the answer in the client's hands. */
  readonly observedMs: number;
  /** The arithmetic from the same passes' client and server times. */
  readonly modelledMs: number;
}

const sum = (parts: object) => Object.values(parts).reduce((total: number, part: number) => total + part, 0);

/** Sends images to a second process over throttled connections, and sets the time that it takes beside the arithmetic. */
export async function observe(
  setup: Setup,
  ways: readonly Way[],
  chosen: readonly Way[],
  links: readonly Link[],
  pictures: readonly Picture[],
  stop: AbortSignal,
): Promise<Observed[]> {
  const rows: Observed[] = [];
  const progress = bar("links", links.length * chosen.length, false);
  const server = await startServer(setup);
  let closing = () => {};
  try {
    for (const link of links) {
      const connection = new Connection(server.port, link);
      closing = () => connection.close();
      for (const way of chosen) {
        progress.step(`${nameOf(way)} over ${link.name}`);
        const number = ways.indexOf(way);
        const passes: { bytes: number; observed: number; modelled: number }[] = [];
        for (let pass = -1; pass < PASSES; pass++)
          for (const picture of pictures) {
            if (stop.aborted) return rows;
            const start = performance.now();
            const { message, ms } = await way.client(picture);
            const reply = await connection.post(number, message);
            const observed = performance.now() - start;
            const modelled = endToEnd(link, message.length, sum(ms), sum(reply.ms)).totalMs;
            if (pass >= 0) passes.push({ bytes: message.length, observed, modelled });
          }
        rows.push({
          link: link.name,
          name: nameOf(way),
          bytes: median(passes.map((pass) => pass.bytes)),
          observedMs: median(passes.map((pass) => pass.observed)),
          modelledMs: median(passes.map((pass) => pass.modelled)),
        });
      }
      connection.close();
    }
  } finally {
    closing();
    progress.stop();
    server.close();
  }
  return rows;
}
