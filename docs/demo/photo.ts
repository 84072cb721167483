/** Where a photograph comes from: the page's own ones, a file, a drop, the camera. */
import { centre } from "../../bench/browser/device.js";
import type { Setup } from "./setup.js";

/** A file that no photograph could be made of; the message says what to do. */
export class Unreadable extends Error {}

const place = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const nameOf = (blob: Blob) => (blob instanceof File ? blob.name : "The photograph");

/** The first bytes of a packet. */
const MAGIC = "lw!";
export const isPacket = async (blob: Blob) => (await blob.slice(0, MAGIC.length).text()) === MAGIC;

/** Of an animation it is the first picture. Throws `Unreadable`. */
export async function photoOf(blob: Blob): Promise<OffscreenCanvas> {
  try {
    return await centre(blob);
  } catch {
    const name = nameOf(blob);
    if (/\.(heic|heif)$/i.test(name) || /hei[cf]/.test(blob.type))
      throw new Unreadable(`${name}: this browser does not read HEIC. Save the photograph as JPEG, and give that.`);
    if (blob.type.startsWith("image/"))
      throw new Unreadable(
        `${name}: this browser cannot open this image. It is damaged, too large, or of a kind that the browser does not know. ` +
          "Save it as JPEG or PNG, at most 8,000 pixels wide and high.",
      );
    throw new Unreadable(`${name} is not an image. JPEG, PNG and WebP can be opened in every browser.`);
  }
}

const CAMERA_ERRORS: Record<string, string> = {
  NotAllowedError: "The camera was refused. Allow it for this page in the browser's settings, or give a file.",
  NotFoundError: "This device has no camera that the browser finds. Give a file.",
  NotReadableError: "The camera is used by another program. Close that one, or give a file.",
};

export interface Handlers {
  /** The user has chosen a photograph. */
  take(blob: Blob): Promise<void>;
  fail(message: string): void;
}

/** Makes the controls work, and chooses the first photograph of the page. */
export async function choosePhotos({ photos }: Setup, { take, fail }: Handlers): Promise<void> {
  const thumbs = photos.map(({ url, name }) => {
    const button = document.createElement("button");
    const image = button.appendChild(document.createElement("img"));
    [image.src, image.alt, button.type] = [url, name, "button"];
    button.addEventListener("click", () => choose(button, url));
    return button;
  });
  place("photos").append(...thumbs);
  const press = (pressed?: HTMLElement) => {
    for (const button of thumbs) button.setAttribute("aria-pressed", String(button === pressed));
  };
  async function choose(button: HTMLElement, url: string): Promise<void> {
    press(button);
    await take(await (await fetch(url)).blob());
  }
  const own = (blob: Blob) => {
    press();
    return take(blob);
  };

  const input = place<HTMLInputElement>("file");
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    // The same file may be chosen again.
    if (file)
      own(file).finally(() => {
        input.value = "";
      });
  });
  // Anywhere: beside the card the browser would leave the page for the file.
  for (const kind of ["dragover", "dragleave", "drop"] as const)
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      place("drop").classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      const [file] = event.dataTransfer?.files ?? [];
      if (file) own(file);
      else fail("That was not a file. Save the picture first, then drop its file here.");
    });
  camera(own, fail);
  await choose(thumbs[0]!, photos[0]!.url);
}

/** The camera's button opens the camera, then takes the photograph. */
function camera(take: Handlers["take"], fail: Handlers["fail"]): void {
  const button = place("shoot");
  const video = place<HTMLVideoElement>("camera");
  const close = () => {
    for (const track of (video.srcObject as MediaStream | null)?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    video.hidden = true;
    place("photo").hidden = false;
    button.textContent = "Camera";
  };
  // Browsers give no camera to a page that came over plain http from another machine.
  if (!navigator.mediaDevices?.getUserMedia) {
    button.hidden = true;
    return;
  }
  button.addEventListener("click", async () => {
    if (video.srcObject === null)
      try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
        await video.play();
        video.hidden = false;
        place("photo").hidden = true;
        button.textContent = "Take the photograph";
      } catch (error) {
        const { name, message } = error as Error;
        fail(CAMERA_ERRORS[name] ?? `The camera cannot be used: ${message}. Give a file.`);
        close();
      }
    else {
      const frame = new OffscreenCanvas(video.videoWidth, video.videoHeight);
      frame.getContext("2d")!.drawImage(video, 0, 0);
      close();
      await take(await frame.convertToBlob({ type: "image/png" }));
    }
  });
}
