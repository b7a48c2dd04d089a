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

  // Whose the pictures are, and facts of the patient where this box's model uses any.
  const who = form.elements.patient_label;
  const facts = [...form.querySelectorAll("#facts input, #facts select")];
  const again = document.getElementById("again");
  const valueOf = (field) => (field.type === "radio" && !field.checked ? null : field.value);
  const markFigures = () => {
    for (const body of form.querySelectorAll(".body")) body.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const isUntouched = (field) => (field.type === "radio" ? field.checked === field.defaultChecked : !field.value.trim());
  const isEmpty = () => !who.value.trim() && facts.every(isUntouched);

  // The next picture may be another patient's: what was typed goes with the files that were chosen, and no further.
  const takeForm = () => {
    const said = facts.filter((field) => valueOf(field) !== null).map((field) => [field, field.value]);
    const label = who.value.trim();
    who.value = "";
    for (const field of facts) {
      if (field.type === "radio") field.checked = field.defaultChecked;
      else field.value = "";
    }
    markFigures();
    again?.remove();
    if (again) history.replaceState(null, "", location.pathname); // coming back must not fill in the label once more
    return { label, said };
  };
  const giveBack = ({ label, said }) => {
    who.value = label;
    for (const [field, value] of said) {
      if (field.type === "radio") field.checked = true;
      else field.value = value;
    }
    markFigures();
  };

  // Several pictures at once: whether they are views of one examination only a person can say.
  const ask = document.getElementById("ask");
  let asked = null; // the batch that the question is about
  let questions = Promise.resolve(); // one after the other
  const nameAsked = () => {
    if (!asked) return;
    const names = asked.files.map((file) => file.name).join(", ");
    document.getElementById("ask-files").textContent = asked.label ? `${asked.label} · ${names}` : names;
  };
  const question = (batch) =>
    new Promise((answer) => {
      asked = batch;
      nameAsked();
      ask.hidden = false;
      ask.scrollIntoView({ block: "nearest" });
      document.getElementById("ask-what").focus();
      for (const button of ask.querySelectorAll("button")) {
        button.onclick = () => {
          ask.hidden = true;
          asked = null;
          batch.isOpen = false;
          answer(button.value);
        };
      }
    });
  const belong = (batch) => {
    batch.isOpen = true; // more may be chosen for it until somebody has said
    questions = questions.then(() => question(batch));
    return questions;
  };

  const send = (file, whose, fields) =>
    new Promise((done) => {
      const item = addRow(whose ? `${whose} · ${file.name}` : file.name);
      if (file.isFolder) return done(settle(item, false, says.folder));
      if (file.size === 0) return done(settle(item, false, says.empty));
      if (file.size > Number(says.limit)) return done(settle(item, false, says.tooLarge));
      const body = new FormData();
      body.append("csrf_token", form.elements.csrf_token.value);
      for (const [name, value] of fields) body.append(name, value);
      body.append("picture", file);
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) item.querySelector("progress").value = (100 * event.loaded) / event.total;
      });
      request.addEventListener("load", () => {
        const said = understand(request);
        if (said.known) item.querySelector(".outcome-name").textContent = file.name; // it may be another patient's
        if (said.url) settle(item, true, said.says, said.url);
        else settle(item, false, [said.error, said.hint].filter(Boolean).join(" "));
        done(said.url ? said : null);
      });
      request.addEventListener("error", async () => done(settle(item, false, await whyLost())));
      return request.send(body);
    });

  const sendable = (file) => !file.isFolder && file.size > 0 && file.size <= Number(says.limit);
  const ended = []; // what became of every file that was ever chosen here; null for one that was not stored
  let latest = null;
  let underWay = 0; // batches that are asked about or sent
  window.addEventListener("beforeunload", (event) => {
    if (underWay > 0 && !window.ulna?.leaving) event.preventDefault(); // what is not sent yet would be lost without a word
  });

  // A result page tells of one examination, so a person leaves for it where anything is to be told beside it.
  const leave = () => {
    const isPlain = (one) => one && !one.known && !one.apart && one.examination === ended[0].examination;
    if (underWay === 0 && isEmpty() && ended.length > 0 && ended.every(isPlain)) location.assign(ended[0].url);
  };

  const sendBatch = async ({ files, label, said }, together) => {
    const typed = [["patient_label", label], ["together", together], ...said.map(([field, value]) => [field.name, value])];
    if (files.filter(sendable).length > 1) typed.push(["several", "yes"]);
    const whose = together === "patients" ? "" : label; // the box drops a label that is of one of several patients
    let examination = form.elements.examination?.value ?? "";
    let parted = false;
    let stored = 0;
    for (const file of files) {
      const follow = [["examination", examination], ...(parted ? [["parted", "yes"]] : [])];
      const one = await send(file, whose, [...typed, ...follow]);
      ended.push(one);
      if (one) stored += 1;
      if (one && together === "yes" && !examination) {
        examination = one.examination;
        parted ||= !examination;
      }
    }
    return stored;
  };

  const sendAll = async (files) => {
    if (files.length === 0) return;
    if (latest?.isOpen && isEmpty()) {
      latest.files.push(...files); // nothing was typed since
      nameAsked();
      return;
    }
    const batch = { files, ...takeForm() };
    latest = batch;
    underWay += 1;
    const isAsked = !form.elements.examination && files.filter(sendable).length > 1;
    const together = isAsked ? await belong(batch) : "";
    const stored = isAsked && !together ? 0 : await sendBatch(batch, together);
    underWay -= 1;
    // What was typed meanwhile is of the next patient.
    if (stored === 0 && latest === batch && isEmpty()) giveBack(batch);
    leave();
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
