// One end: photograph -> encoder network -> packet -> file.
import { readFile, writeFile } from "node:fs/promises";
import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import { splitEncoder } from "latentwire/onnx";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";

const codec = await create();
const bundle = await loadBundle(readFile("model.lwb")); // the tables; the other end has the same file
const session = await InferenceSession.create("encoder.onnx");
const encode = splitEncoder({ session, codec, prior: bundle.factorized(codec, "latent") });

// This encoder takes 1 x 3 x 224 x 224: all of red, all of green, all of blue, each 0 .. 255.
const pixels = await sharp("photo.png").removeAlpha().resize(224, 224).raw().toBuffer();
const plane = 224 * 224;
const data = Float32Array.from({ length: 3 * plane }, (_, i) => pixels[(i % plane) * 3 + Math.floor(i / plane)]);

const packet = await encode(new Tensor("float32", data, [1, 3, 224, 224]));
await writeFile("packet.lw", packet);
console.log(`packet.lw: ${packet.length} bytes`);
