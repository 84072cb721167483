// Reads the string that CompressAI's compress() has made of a latent, and writes one that its decompress() reads.
import { readFile, writeFile } from "node:fs/promises";
import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";

const codec = await create();
const bundle = await loadBundle(readFile("model.lwb")); // npx latentwire tables import checkpoint.pth.tar -o model.lwb
const prior = bundle.factorized(codec, "entropy_bottleneck");

// CompressAI's stream without a header: the string itself. It holds no shape, so that is sent along.
const options = { stream: "compressai", header: "none" };
const { string, shape } = JSON.parse(await readFile("from-python.json", "utf8"));
const dims = [1, prior.table.rows, ...shape]; // a row per channel
const latent = codec.decode(Buffer.from(string, "hex"), prior, { ...options, dims });
console.log(`read ${string.length / 2} bytes: [${dims}], the first elements are ${latent.data.slice(0, 4).join(", ")}`);

const written = Buffer.from(codec.encode(latent, prior, options)).toString("hex");
await writeFile("from-node.json", JSON.stringify({ string: written, shape }));
console.log(`wrote ${written.length / 2} bytes: ${written === string ? "the same string" : "another string"}`);
