/** What the server tells the page: where things are. */
export interface BrowserSetup {
  readonly images: readonly { readonly name: string; readonly url: string; readonly label: number | null }[];
  /** Folders of encoder.onnx, decoder.onnx and tables.json. */
  readonly points: readonly { readonly name: string; readonly url: string }[];
  /** Folder of backbone.onnx and tail.onnx. */
  readonly backbone: string | null;
}
