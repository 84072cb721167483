// A worker with an onnxruntime-web of its own, because the number of its threads is settled once per process or worker.
// Messages {id, model} and {id, session, feeds, fetches}; answers {id, ...} or {id, error}.
import { parentPort, workerData } from "node:worker_threads";
import { env, InferenceSession, Tensor } from "onnxruntime-web";

env.wasm.numThreads = workerData.threads;
const sessions = [];

async function answer({ model, session, feeds, fetches }) {
  if (model !== undefined) {
    const made = await InferenceSession.create(model);
    const { inputNames, outputNames } = made;
    return { session: sessions.push(made) - 1, inputNames, outputNames };
  }
  const inputs = Object.entries(feeds).map(([name, { type, dims, data }]) => [name, new Tensor(type, data, dims)]);
  const results = await sessions[session].run(Object.fromEntries(inputs), fetches);
  return Object.fromEntries(
    fetches.map((name) => [
      name,
      { type: results[name].type, dims: [...results[name].dims], data: results[name].data },
    ]),
  );
}

parentPort.on("message", async ({ id, ...question }) => {
  try {
    parentPort.postMessage({ id, value: await answer(question) });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error) });
  }
});
