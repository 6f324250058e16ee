// Pictures of the camera, one after the other.

const REASONS = {
  NotAllowedError: "The camera was refused. Allow this page to use it in the settings of the browser, and try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is used by another program, or does not answer.",
};

/** Start the camera; return {next() -> Blob of the picture it shows now, stop()}. Throws a sentence where it cannot. */
export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("Browsers give the camera only to pages over https and to those of localhost.");
  }
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: "environment"}});
    video.srcObject = stream;
    await video.play();
  } catch (failure) {
    stream?.getTracks().forEach((track) => track.stop());
    throw new Error(REASONS[failure.name] ?? `The camera could not be started: ${failure.message}`);
  }
  const canvas = document.createElement("canvas");
  return {
    next() {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
    },
    stop() {
      stream.getTracks().forEach((track) => track.stop());
    },
  };
}
