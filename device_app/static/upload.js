// Sends each chosen or dropped picture by itself, shows how far it is and what the box said.
"use strict";
(() => {
  const form = document.getElementById("upload");
  const picker = document.getElementById("picture");
  const drop = document.getElementById("drop");
  const list = document.getElementById("outcomes");
  const row = document.getElementById("outcome");
  const says = form.dataset;
  form.classList.add("scripted"); // choosing sends at once; the button is for browsers without scripts

  const addRow = (name) => {
    const item = row.content.cloneNode(true).querySelector("li");
    item.querySelector(".outcome-name").textContent = name;
    item.classList.add("outcome-sending");
    item.querySelector(".outcome-says").textContent = says.sending;
    list.append(item);
    item.scrollIntoView({ block: "nearest" });
    return item;
  };

  const settle = (item, ok, text, url) => {
    item.classList.remove("outcome-sending");
    item.classList.add(ok ? "outcome-ok" : "outcome-refused");
    item.querySelector(".outcome-says").textContent = text;
    item.querySelector("progress").remove();
    if (url) {
      const link = item.querySelector("a");
      link.href = url;
      link.hidden = false;
    }
    return url || null;
  };

  const understand = (request) => {
    try {
      const said = JSON.parse(request.responseText);
      return said.outcomes ? said.outcomes[0] : said;
    } catch {
      return { error: says.lost };
    }
  };

  // A box whose disk is full cannot even take the request: it hangs up without a word.
  const whyLost = async () => {
    try {
      const health = await (await fetch(says.health, { cache: "no-store", signal: AbortSignal.timeout(8000) })).json();
      return health.room === false ? says.full : says.lost;
    } catch {
      return says.lost;
    }
  };

  // Facts of the patient, where this box's model uses any.
  const facts = [...form.querySelectorAll("#facts input, #facts select")];
  const valueOf = (field) => (field.type === "radio" && !field.checked ? null : field.value);
  const markFigures = () => {
    for (const body of form.querySelectorAll(".body")) body.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const emptyFacts = () => {
    for (const field of facts) {
      if (field.type === "radio") field.checked = field.defaultChecked;
      else field.value = "";
    }
    markFigures();
  };
  const isUntouched = (field) => (field.type === "radio" ? field.checked === field.defaultChecked : !field.value.trim());

  // Several pictures at once: whether they are views of one examination only a person can say.
  const ask = document.getElementById("ask");
  let asked = null; // the files in question, as long as nobody has said; more may be chosen meanwhile
  const nameAsked = () => {
    document.getElementById("ask-files").textContent = asked.map((file) => file.name).join(", ");
  };
  const belong = (files) =>
    new Promise((answer) => {
      asked = files;
      nameAsked();
      ask.hidden = false;
      ask.scrollIntoView({ block: "nearest" });
      document.getElementById("ask-what").focus();
      for (const button of ask.querySelectorAll("button")) {
        button.onclick = () => {
          ask.hidden = true;
          asked = null;
          answer(button.value);
        };
      }
    });

  const send = (file, label, said) =>
    new Promise((done) => {
      const item = addRow(label ? `${label} · ${file.name}` : file.name);
      if (file.isFolder) return done(settle(item, false, says.folder));
      if (file.size === 0) return done(settle(item, false, says.empty));
      if (file.size > Number(says.limit)) return done(settle(item, false, says.tooLarge));
      const body = new FormData();
      body.append("csrf_token", form.elements.csrf_token.value);
      body.append("patient_label", label);
      for (const [name, value] of said) body.append(name, value);
      body.append("picture", file);
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) item.querySelector("progress").value = (100 * event.loaded) / event.total;
      });
      request.addEventListener("load", () => {
        const said = understand(request);
        if (said.url) done({ url: settle(item, true, said.says, said.url), examination: said.examination });
        else done(settle(item, false, [said.error, said.hint].filter(Boolean).join(" ")));
      });
      request.addEventListener("error", async () => done(settle(item, false, await whyLost())));
      return request.send(body);
    });

  let underWay = 0;
  window.addEventListener("beforeunload", (event) => {
    if (underWay > 0) event.preventDefault(); // what is not sent yet would be lost without a word
  });

  const sendAll = async (files) => {
    if (files.length === 0) return;
    if (asked) {
      asked.push(...files);
      nameAsked();
      return;
    }
    const fixed = form.elements.examination?.value ?? "";
    const several = files.filter((file) => !file.isFolder && file.size > 0).length > 1;
    const together = several && !fixed ? await belong(files) : "no";
    if (!together) return;
    const who = form.elements.patient_label;
    const label = who.value.trim();
    const isOne = files.length === 1; // of several pictures nobody can say one view
    const said = facts.filter((field) => valueOf(field) !== null).map((field) => [field, isOne || field.name !== "view" ? field.value : ""]);
    who.value = ""; // the next picture may be another patient's
    emptyFacts();
    let examination = fixed;
    let first = null;
    underWay += 1;
    for (const file of files) {
      const more = said.map(([field, value]) => [field.name, value]);
      const stored = await send(file, label, [...more, ["examination", examination]]);
      first ??= stored;
      if (together === "yes" && !examination && stored?.examination) examination = stored.examination;
    }
    underWay -= 1;
    // What was typed meanwhile is of the next patient.
    if (!first && !who.value.trim() && facts.every(isUntouched)) {
      who.value = label;
      for (const [field, value] of said) {
        if (field.type === "radio") field.checked = true;
        else field.value = value;
      }
      markFigures();
    }
    if (first && (isOne || fixed || together === "yes") && underWay === 0) location.assign(first.url);
  };

  const dropped = (transfer) =>
    [...transfer.items]
      .filter((item) => item.kind === "file")
      .map((item) => {
        const entry = item.webkitGetAsEntry();
        return entry?.isDirectory ? { name: entry.name, isFolder: true } : item.getAsFile();
      });

  picker.addEventListener("change", () => {
    const files = [...picker.files];
    picker.value = ""; // the same file can be chosen again
    sendAll(files);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    picker.click();
  });
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("drop-over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.classList.remove("drop-over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // a picture dropped beside the zone must not replace the page
    drop.classList.remove("drop-over");
    sendAll(dropped(event.dataTransfer));
  });
})();
