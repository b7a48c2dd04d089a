// The keyboard on the stage. Arrows do what the mode is about: move, brighten, move an end of the ruler or a place.
"use strict";
(() => {
  const ulna = (window.ulna ??= {});
  const PAN_SHARE = 0.1; // of the stage
  const FAR = 10; // times as far with Shift
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const ACTS = { "+": "closer", "=": "closer", "-": "farther", 0: "fit", "[": "turn-left", "]": "turn-right" };
  const SWITCHES = { w: "light", m: "ruler", p: "mark", f: "whole", i: "invert" };
  const HANDS = {
    ruler: { Enter: "other", Delete: "clear" },
    mark: { n: "new", Enter: "next", s: "size", Delete: "remove", Backspace: "remove", u: "undo" },
  };

  const arrow = (viewer, [x, y], far) => {
    const { stageWidth, stageHeight } = viewer.place;
    if (viewer.hand && viewer.hand.arrow(x, y, far) !== false) return;
    if (viewer.mode === "light") viewer.light.step(x ? "contrast" : "brightness", x || -y);
    else viewer.pan(-x * PAN_SHARE * stageWidth, -y * PAN_SHARE * stageHeight);
  };

  // Whether the key was meant for the stage.
  const press = (viewer, event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return false;
    if (ARROWS[event.key]) arrow(viewer, ARROWS[event.key], event.shiftKey ? FAR : 1);
    else if (ACTS[event.key]) viewer.act(ACTS[event.key]);
    else if (SWITCHES[event.key]) viewer.flip(SWITCHES[event.key]);
    else if (HANDS[viewer.mode]?.[event.key]) viewer.hand[HANDS[viewer.mode][event.key]]();
    else if (event.key === "Escape" && viewer.mode !== "move") viewer.hand?.release?.() || viewer.use("move");
    else return false;
    return true;
  };

  ulna.listenToKeys = (viewer) =>
    viewer.stage.addEventListener("keydown", (event) => {
      if (event.target !== viewer.stage || !press(viewer, event)) return;
      event.preventDefault();
    });
})();
