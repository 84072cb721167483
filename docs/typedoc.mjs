// A plugin of typedoc: the site's navigation begins with the page of docs/demo, which is no document.
import { JSX } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.renderer.hooks.on("sidebar.begin", (context) =>
    JSX.createElement(
      "p",
      null,
      JSX.createElement(
        "a",
        { href: context.relativeURL("demo/index.html") },
        "Try it: the page that sends a photograph",
      ),
    ),
  );
}
