// The other end: file -> packet -> decoder network -> features for the rest of the network.
import { readFile } from "node:fs/promises";
import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import { splitDecoder } from "latentwire/onnx";
import { InferenceSession } from "onnxruntime-node";

const codec = await create();
const bundle = await loadBundle(readFile("model.lwb"));
const session = await InferenceSession.create("decoder.onnx");
const decode = splitDecoder({ session, codec, prior: bundle.factorized(codec, "latent") });

const { features } = await decode(await readFile("packet.lw"));
console.log(`features: ${features.dims.join(" x ")}, the first is ${features.data[0]}`);
