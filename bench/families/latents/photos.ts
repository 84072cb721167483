import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { listImages, loadImage, SIDE } from "../../images.js";

// Makes photos.f32.npy, as the README beside it says.
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const encoder = await InferenceSession.create(
  new Uint8Array(readFileSync(here("../../model/points/mid/encoder.onnx"))),
  {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  },
);

const latents: Tensor[] = [];
for (const file of listImages(here("../../photos"))) {
  const { planes } = await loadImage(file);
  const { latent } = await encoder.run({ image: new Tensor("float32", planes, [1, 3, SIDE, SIDE]) });
  latents.push(latent as Tensor);
}

const shape = [latents.length, ...latents[0].dims.slice(1)];
const words = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
const header = `${words.padEnd(117)}\n`;
const start = Buffer.concat([
  Buffer.from("\x93NUMPY\x01\x00", "latin1"),
  Buffer.from([header.length, 0]),
  Buffer.from(header),
]);
const values = latents.map(({ data }) => Buffer.from((data as Float32Array).slice().buffer));
writeFileSync(here("photos.f32.npy"), Buffer.concat([start, ...values]));
console.log(`photos.f32.npy: ${shape.join(" x ")}`);
