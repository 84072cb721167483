// In the browser: a photograph goes through the first half of the network, and the packet to the server.
import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import { splitEncoder } from "latentwire/onnx";
import * as ort from "onnxruntime-web";

const codec = await create();
const bundle = await loadBundle("/model.lwb"); // the tables; the server has the same file
const session = await ort.InferenceSession.create("/encoder.onnx"); // { executionProviders: ["webgpu"] } where there is one
const encode = splitEncoder({ session, codec, prior: bundle.factorized(codec, "latent") });

async function send(photo) {
  // This encoder takes 1 x 3 x 224 x 224: red, green, blue, each 0 .. 255. fromImage adds `bias` and divides by `mean`.
  const bitmap = await createImageBitmap(photo, { resizeWidth: 224, resizeHeight: 224 });
  const image = await ort.Tensor.fromImage(bitmap, { tensorFormat: "RGB", norm: { mean: 1, bias: 0 } });
  const packet = await encode(image);

  const response = await fetch("/decode", { method: "POST", body: packet });
  if (!response.ok) throw new Error(await response.text());
  const { label, probability } = await response.json();
  document.querySelector("#answer").textContent =
    `${packet.length} bytes sent; the file has ${photo.size}.\nThe server sees: ${label} (${Math.round(100 * probability)} %)`;
}

document.querySelector("#file").addEventListener("change", ({ target }) => {
  document.querySelector("#photo").src = URL.createObjectURL(target.files[0]);
  send(target.files[0]);
});
await send(await (await fetch("/photo.png")).blob());
