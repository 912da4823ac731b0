// The live page's first step: Start works as soon as this small module is here, and everything
// behind it loads meanwhile. On a slow line that is seconds earlier than the whole page.

const $ = (name) => document.querySelector(`[data-${name}]`);
// its two sentences stand in the page: the module of texts comes with the rest
const needed = JSON.parse(document.getElementById("modules").textContent);

let app = null;
let wanted = null; // what was asked for before the rest was here

// All at once: followed import by import they would come one round trip after the other.
for (const href of needed) {
  const link = document.createElement("link");
  link.rel = "modulepreload";
  link.href = href;
  document.head.append(link);
}
import("../live/app.js").then(
  (loaded) => {
    app = loaded.startApp();
    wanted?.(app);
  },
  (error) => {
    console.error(error);
    $("notice").textContent = $("stage").dataset.wordsBroken;
  },
);

function ask(what) {
  if (app) {
    what(app);
    return;
  }
  wanted = what;
  $('panel="idle"').hidden = true;
  $('panel="starting"').hidden = false;
  $("starting-text").textContent = $("stage").dataset.wordsLoading;
}

const actions = {
  start: () => ask((page) => page.startCamera()),
  retry: () => ask((page) => page.startAgain()),
  file: () => $("file").click(),
};
for (const button of document.querySelectorAll("[data-action]")) {
  const action = actions[button.dataset.action];
  if (action) button.addEventListener("click", action);
  button.disabled = false; // until the script is here, a click would be lost
}
$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) ask((page) => page.startFile(file));
});

// What the page holds, to read only: for tests and for people who build upon the page.
Object.defineProperty(window, "mien", {
  value: Object.freeze({
    get state() {
      if (app) return app.state;
      const stats = { sent: 0, answered: 0, dropped: 0, failed: 0 };
      return { phase: wanted ? "starting" : "idle", connection: "off", stats, result: null, drawn: [], lanes: [] };
    },
  }),
});
