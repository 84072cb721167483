// The conformance page: runs the script on itself, and in every other place that a page can open.
import { type Answer, answer, type Order } from "./conformance.js";

/** Sends an order with a port for the answer. */
function ask(target: Worker | ServiceWorker, order: Order): Promise<Answer> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }) => resolve(data);
    target.onerror = (event) => reject(new Error((event as ErrorEvent).message ?? "the script did not load"));
    target.postMessage(order, [port2]);
  });
}

const places = {
  page: answer,

  worker(order: Order): Promise<Answer> {
    const worker = new Worker("/conformance.js", { type: "module" });
    return ask(worker, order).finally(() => worker.terminate());
  },

  async "service worker"(order: Order): Promise<Answer> {
    await navigator.serviceWorker.register("/conformance.js", { type: "module" });
    const { active } = await navigator.serviceWorker.ready;
    return ask(active as ServiceWorker, order);
  },

  async "audio worklet"(processorOptions: Order): Promise<Answer> {
    const context = new OfflineAudioContext(1, 128, 44_100);
    await context.audioWorklet.addModule("/conformance.js");
    const node = new AudioWorkletNode(context, "conformance", { processorOptions });
    return new Promise((resolve, reject) => {
      node.port.onmessage = ({ data }) => resolve(data);
      node.onprocessorerror = () => reject(new Error("the processor did not start"));
      node.connect(context.destination);
      void context.startRendering();
    });
  },
};

/** Where a page can run the script. */
export type Place = keyof typeof places;

// The drivers call these by name.
Object.assign(globalThis, {
  conformance: (place: Place, order: Order) => places[place](order),
  extras: async () => (await import("./extras.js")).extras(),
});
