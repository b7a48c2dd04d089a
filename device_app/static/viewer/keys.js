// The keyboard on the stage. Arrows do what the mode is about: move, brighten, move an end of the ruler.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const PAN_SHARE = 0.1; // of the stage
  const NUDGE_PX = 1;
  const FAR = 10; // times as far with Shift
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const ACTS = { "+": "closer", "=": "closer", "-": "farther", 0: "fit", "[": "turn-left", "]": "turn-right" };
  const SWITCHES = { w: "light", m: "ruler", f: "whole", i: "invert" };

  const arrow = (viewer, [x, y], far) => {
    const { stageWidth, stageHeight } = viewer.place;
    if (viewer.mode === "ruler") viewer.measure.nudge(x * NUDGE_PX * far, y * NUDGE_PX * far);
    else if (viewer.mode === "light") viewer.light.step(x ? "contrast" : "brightness", x || -y);
    else viewer.pan(-x * PAN_SHARE * stageWidth, -y * PAN_SHARE * stageHeight);
  };

  // Whether the key was meant for the stage.
  const press = (viewer, event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return false;
    if (ARROWS[event.key]) arrow(viewer, ARROWS[event.key], event.shiftKey ? FAR : 1);
    else if (ACTS[event.key]) viewer.act(ACTS[event.key]);
    else if (SWITCHES[event.key]) viewer.flip(SWITCHES[event.key]);
    else if (event.key === "Enter" && viewer.mode === "ruler") viewer.measure.other();
    else if (event.key === "Delete" && viewer.mode === "ruler") viewer.measure.clear();
    else if (event.key === "Escape" && viewer.mode !== "move") viewer.use("move");
    else return false;
    return true;
  };

  ulna.listenToKeys = (viewer) =>
    viewer.stage.addEventListener("keydown", (event) => {
      if (event.target !== viewer.stage || !press(viewer, event)) return;
      event.preventDefault();
    });
})();
