// onnxruntime-web looks for its .wasm file beside its own .js file. So Vite must leave it where it is.
export default { optimizeDeps: { exclude: ["onnxruntime-web"] } };
