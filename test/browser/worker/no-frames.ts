/** How often a script has asked for a frame. */
export interface Frames {
  asked: number;
}

/** No frame ever comes, as in a hidden tab. */
export const frames: Frames = { asked: 0 };

globalThis.requestAnimationFrame = () => {
  frames.asked += 1;
  return frames.asked;
};
