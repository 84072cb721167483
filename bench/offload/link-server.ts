// The other end: node --import tsx bench/offload/link-server.ts SETUP, where SETUP is the JSON of what both ends know beforehand.
// POST /N takes the message of the N-th way and answers {answer, ms}. It prints its port and ends with its parent.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { openWays } from "./ways.js";

/** No message of a 224x224 image is larger. */
const MOST_BYTES = 1 << 20;

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`a message of more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const { ways } = await openWays(JSON.parse(process.argv[2]));

const server = createServer(async (request, response) => {
  try {
    const way = ways[Number(request.url?.slice(1))];
    if (way === undefined) throw new Error(`there is no way ${request.url}`);
    const { answer, ms } = await way.server(await bodyOf(request));
    response.end(JSON.stringify({ answer, ms }));
  } catch (error) {
    response.writeHead(400).end(JSON.stringify({ error: (error as Error).message }));
  }
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
// Ctrl-C reaches every process of a terminal; this one ends with its parent, which may be waiting for an answer.
process.on("SIGINT", () => {});
process.stdin.on("end", () => process.exit()).resume();
