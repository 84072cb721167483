// In Node: gives the page to the browser, takes its packets, and answers with what the photograph shows.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { CodecError, create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import { splitDecoder } from "latentwire/onnx";
import { InferenceSession } from "onnxruntime-node";
import { createServer as createVite } from "vite";

const codec = await create();
const bundle = await loadBundle(readFile("public/model.lwb"));
const decoder = await InferenceSession.create("decoder.onnx");
const prior = bundle.factorized(codec, "latent");
// Packets come from strangers, so a packet may not ask for more than this model's latent has.
const decode = splitDecoder({ session: decoder, codec, prior, decode: { maxElements: 20 * 28 * 28 } });
const rest = await InferenceSession.create("rest.onnx"); // the second half of the network, from `features` to `logits`
const labels = (await readFile("labels.txt", "utf8")).split("\n").slice(1);

async function answer(packet) {
  const { features } = await decode(packet);
  const { logits } = await rest.run({ [rest.inputNames[0]]: features });
  const best = Math.max(...logits.data);
  const sum = logits.data.reduce((total, logit) => total + Math.exp(logit - best), 0);
  return { label: labels[logits.data.indexOf(best)], probability: 1 / sum };
}

const server = createServer();
// Vite serves the page while you develop. Afterwards `npx vite build` makes files for any web server.
const vite = await createVite({ server: { middlewareMode: true, hmr: { server } } });
server.on("request", async (request, response) => {
  if (request.url !== "/decode") return vite.middlewares(request, response);
  try {
    const packet = Buffer.concat(await request.toArray());
    response.end(JSON.stringify(await answer(packet)));
  } catch (error) {
    console.error(error);
    const code = error instanceof CodecError && error.code; // CORRUPTED, WRONG_PRIOR ..; anything else is this server's fault
    response.writeHead(code ? 400 : 500).end(code || "the server has failed");
  }
});
server.listen(process.env.PORT ?? 3000, () => console.log(`http://localhost:${server.address().port}`));
