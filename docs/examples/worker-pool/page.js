// In the browser: Workers encode and decode many latents, and the page stays free.
import { loadBundle } from "latentwire/bundle";
import { createPool } from "latentwire/pool";

const COUNT = 200;
const dims = [1, 20, 28, 28];

// In place of an encoder network: each call gives another latent.
const latent = (n) => {
  const data = Float32Array.from({ length: 20 * 28 * 28 }, (_, i) => 3 * Math.sin(i * (n + 1)) ** 9);
  return { type: "float32", dims, data };
};

const pool = await createPool({ maxPending: 32 }); // as many Workers as the machine runs at once
const bundle = await loadBundle("/model.lwb");
const prior = bundle.factorized(pool, "latent"); // the pool makes priors, as a codec does

// Gives the pool a task for each n. It waits while 32 tasks are pending: so memory does not grow with COUNT.
async function forEach(task) {
  const results = [];
  for (let n = 0; n < COUNT; n++) {
    await pool.capacity();
    results.push(task(n));
  }
  return Promise.all(results);
}

// transfer: the latent's memory goes to the Worker and is not copied.
const packets = await forEach((n) => pool.encode(latent(n), prior, { transfer: true }));
const decoded = await forEach((n) => pool.decode(packets[n], prior));
await pool.close();

const bytes = packets.reduce((sum, { length }) => sum + length, 0);
const exact = decoded.filter(({ data }, n) => latent(n).data.every((value, i) => Math.round(value) === data[i])).length;
document.querySelector("#answer").textContent = `${COUNT} latents, ${bytes} bytes, ${exact} decoded exactly`;
