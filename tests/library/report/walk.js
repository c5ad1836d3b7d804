// What a reader does: every check is true or the test fails.
const checks = {};
const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const key = (target, name, more) => target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));
const bars = () => [...document.querySelectorAll("#linear .esd")].map((bar) => bar.getAttribute("height")).join();
const log = () => [...document.querySelectorAll("#loglog .esd")].map((bar) => bar.getAttribute("height")).join();
const title = () => $("spectrum-title").textContent;
const scrub = (value) => { $("scrubber").value = value; $("scrubber").dispatchEvent(new Event("input")); };

checks["the markup in the names has not run"] = document.title.startsWith("</title><script>") && document.querySelectorAll("script").length === 4;
checks["the run's name is text"] = $("title").textContent === "</title><script>alert(1)<\/script> & \"run\"";
checks["the story names a layer and its change"] = /fc1|quoted|rtl/.test(document.querySelector(".story").textContent);
checks["the glossary has six phases and uncertain"] = document.querySelectorAll(".glossary dt").length === 7;
checks["it ends at the last epoch"] = title().includes("at epoch 8");

// The scrubber moves the density.
const last = bars();
const lastLog = log();
scrub(0);
checks["the scrubber moves the linear density"] = bars() !== last && bars().length > 20;
checks["the scrubber moves the log density"] = log() !== lastLog;
checks["the scrubber moves the title"] = title().includes("at epoch 0");
checks["noise has its law and edges"] = document.querySelectorAll("#linear .mp").length === 1 && document.querySelectorAll("#linear .edge").length === 2;

// A tile opens by click.
const drawing = document.querySelector("#timeline .block svg[role=presentation]");
const area = drawing.getBoundingClientRect();
const at = (column, row) => ({ bubbles: true, clientX: area.left + (area.width / 9) * (column + 0.5), clientY: area.top + (area.height / 7) * (row + 0.5) });
drawing.dispatchEvent(new MouseEvent("click", at(6, 5)));
checks["a click opens a cell"] = title().includes("at epoch 6") && title().includes("{{ name }} {% raw %}");
checks["spikes are marked"] = document.querySelectorAll("#linear .spike").length > 0;
checks["the tail has its fit"] = document.querySelectorAll("#loglog .power").length === 1 && document.querySelectorAll("#loglog .xmin").length === 1;
checks["evidence is said in words"] = $("evidence").textContent.includes("eigenvalues beyond the noise edge");
checks["no hole of a sentence is left"] = !document.body.textContent.includes("\ufffc\ufffc") && !$("evidence").textContent.includes("\ufffc");
checks["numbers have their doubt"] = /±/.test($("numbers").textContent) && /5–95 %/.test($("numbers").textContent) && /Tracy–Widom/.test($("numbers").textContent);
drawing.dispatchEvent(new PointerEvent("pointermove", at(2, 0)));
checks["a tile under the pointer is read out"] = $("readout").textContent.startsWith("fc1.weight, epoch 2");

// … and by keyboard.
$("timeline").focus();
checks["the timeline takes the focus"] = document.activeElement === $("timeline");
key($("timeline"), "Home");
key($("timeline"), "ArrowRight");
key($("timeline"), "ArrowUp");
checks["arrows open a cell"] = title().includes("at epoch 1") && title().includes("🔥.🧠.weight");
checks["the cursor is announced"] = $($("timeline").getAttribute("aria-activedescendant")).getAttribute("aria-label").includes("epoch 1");
key($("timeline"), "Enter");
checks["Enter goes to the spectrum"] = document.activeElement === $("spectrum-title");

// Play.
key(document.body, " ");
checks["the space bar plays"] = $("play").getAttribute("aria-pressed") === "true";
await wait(2500);
checks["play advances"] = Number($("scrubber").value) > 2;
await wait(12000);
checks["play ends at the end"] = title().includes("at epoch 8") && $("play").textContent === "Play";

// Theme.
const paper = () => getComputedStyle(document.body).backgroundColor;
const before = paper();
$("theme").click();
checks["light is light"] = paper() === "rgb(255, 255, 255)";
$("theme").click();
checks["dark is dark"] = paper() === "rgb(21, 23, 26)" && before !== "";
checks["the choice is in the address"] = location.hash.includes("theme=dark") && location.hash.includes("layer=4");

// Small multiples share a cursor.
const panel = document.querySelectorAll("#charts svg[role=img]")[2];
const plane = panel.getBoundingClientRect();
const over = { bubbles: true, clientX: plane.left + 44 + (plane.width - 54) * 0.5, clientY: plane.top + 40 };
panel.dispatchEvent(new PointerEvent("pointermove", over));
checks["panels share the pointer's epoch"] = new Set([...document.querySelectorAll("#charts output")].map((o) => o.textContent.split(" at ")[1])).size === 1
  && document.querySelector("#charts output").textContent.includes("at epoch 4");
panel.dispatchEvent(new MouseEvent("click", over));
checks["a click in a panel chooses the epoch"] = title().includes("at epoch 4");
const lines = () => document.querySelectorAll("#charts .line:not(.dim)").length;
const drawn = lines();
document.querySelector("#chips [data-layer='0']").click();
checks["layers can be chosen"] = lines() !== drawn;

// The table sorts, chooses, and is copied.
const firstRow = () => document.querySelector("#table tbody th").textContent;
document.querySelector("#table th[data-key=num_spikes] button").click();
checks["the table sorts"] = firstRow() !== "fc1.weight" && document.querySelector("#table th[data-key=num_spikes]").getAttribute("aria-sort") === "descending";
document.querySelector("#table tbody tr:last-child").click();
checks["a row chooses its layer"] = title().startsWith(document.querySelector("#table tbody tr.on th").textContent);
$("copy").click();
for (let i = 0; i < 400 && $("copy").textContent === "Copy as CSV"; i += 1) await wait(50);
checks["the table can be copied"] = /Copied|not allowed/.test($("copy").textContent);
checks["what can be cited is cited"] = /martin2021implicit/.test($("bibtex").textContent) && /johnstone2001/.test($("bibtex").textContent);
checks["controls have names"] = [...document.querySelectorAll("button, input, select")].every((c) => c.textContent.trim() || c.getAttribute("aria-label") || c.closest("label"));
return { checks, names: [...document.querySelectorAll("#timeline .name")].map((name) => name.textContent) };
