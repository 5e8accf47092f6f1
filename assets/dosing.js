/* /dosing: repaints the bands while a dose is dragged, straight from the slider's own event. The models are linear in
   the dose: without levels every curve of the doses given scales with the dose; the curves that follow are
   interpolated between amounts from the server (the store `dosing-paint`) and are exact on them. The server's own
   figure comes when the slider rests. The server is asked one question at a time, so that no late answer to an older
   one overwrites a newer. Also the clock of the next dose; the time of the first dose stays here. */
(function () {
  "use strict";
  const WITHOUT_PREVIEW_MS = 120;
  const REST_MS = 500;
  const ADVICE_MS = 600;
  const LOST_MS = 10000;
  const HOUR_MS = 3600000;
  let dragged = null;
  let settled = null;
  let run = 0;
  let waiting = null;
  let again = false;
  let latest = null;
  let first = NaN;
  let painted = { paint: null, given: 0, next: 0 };

  function between(nodes, curves, amount) {
    let i = 0;
    while (i < nodes.length - 2 && amount > nodes[i + 1]) i += 1;
    const share = (amount - nodes[i]) / (nodes[i + 1] - nodes[i]);
    return curves[i].map((curve, k) => curve.map((v, j) => Math.max(0, v + share * (curves[i + 1][k][j] - v))));
  }

  function paint(p, given, next) {
    const graph = document.querySelector(".graph-dosing .js-plotly-plot");
    if (!graph || !graph.data || !graph._fullLayout || !p) return;
    if (!p.history.length && given !== p.given) return;
    if (painted.paint === p && painted.given === given && painted.next === next) return;
    const same = painted.paint === p ? painted.given === given : p.given === given;
    painted = { paint: p, given: given, next: next };
    const factor = given / p.given;
    const curves = same ? [] : p.history.map((each) => [each.name, each.y.map((v) => v * factor)]);
    if (factor > 0) {
      between(p.following.nodes, p.following.curves, next / factor).forEach(function (curve, k) {
        curves.push([p.following.names[k], curve.map((v) => v * factor)]);
      });
    }
    const place = Object.fromEntries(graph.data.map((trace, i) => [trace.name, i]));
    const known = curves.filter((pair) => pair[0] in place);
    const painting = window.Plotly.restyle(
      graph, { y: known.map((pair) => pair[1]) }, known.map((pair) => place[pair[0]]),
    );
    /* Another drug's graph may take this one's place while it is painted: then there is nothing left to paint. */
    if (painting) painting.catch(function (error) { if (graph.isConnected) throw error; });
  }

  function amountOf(input) {
    try {
      const id = JSON.parse(input.id);
      return id.type === "dosing-amount" ? id.name : null;
    } catch {
      return null;
    }
  }

  function paintFromSliders() {
    const value = {};
    document.querySelectorAll("#dosing-controls input[type=range]").forEach(function (input) {
      const name = amountOf(input);
      if (name) value[name] = +input.value;
    });
    if ("amount_mg" in value) paint(latest, value.amount_mg, value.next_amount_mg);
  }

  document.addEventListener("input", function (event) {
    if (event.target.type !== "range" || !amountOf(event.target)) return;
    paintFromSliders();
  }, true);

  function later(timer, wait, store) {
    clearTimeout(timer);
    return setTimeout(function () {
      run += 1;
      if (document.getElementById("dosing-drug")) window.dash_clientside.set_props(store, { data: run });
    }, wait);
  }

  function ask() {
    again = waiting !== null;
    if (again) return;
    waiting = setTimeout(answer, LOST_MS);
    later(null, 0, "dosing-asked");
  }

  function answer() {
    clearTimeout(waiting);
    waiting = null;
    if (again) ask();
  }

  function words(hours) {
    const minutes = Math.floor(Math.abs(hours) * 60);
    const seconds = Math.floor(Math.abs(hours) * 3600) % 60;
    return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min " + seconds + " s";
  }

  function tick() {
    const clock = document.getElementById("dosing-clock");
    if (!clock) return;
    const due = latest && latest.due;
    let text = "";
    if (!Number.isNaN(first) && due && due.length) {
      const now = (Date.now() - first) / HOUR_MS;
      const next = due.find((hour) => hour > now);
      const hour = next === undefined ? due[due.length - 1] : next;
      const at = new Date(first + hour * HOUR_MS).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      text = next === undefined
        ? "The last dose drawn was due " + words(now - hour) + " ago, at " + at + "."
        : "Next dose of this plan in " + words(hour - now) + ", at " + at + ".";
    }
    if (clock.textContent !== text) clock.textContent = text;
  }
  setInterval(tick, 1000);

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    dosing: {
      drag: function (amounts, paints) {
        const context = window.dash_clientside.callback_context;
        if (paints[0]) latest = paints[0];
        const moved = context.triggered.some((part) => part.prop_id.includes("dosing-amount"));
        if (moved) {
          const value = Object.fromEntries(context.inputs_list[0].map((part) => [part.id.name, +part.value]));
          paint(latest, value.amount_mg, value.next_amount_mg);
          const previewed = latest && (latest.history.length || value.amount_mg === latest.given);
          dragged = later(dragged, previewed ? REST_MS : WITHOUT_PREVIEW_MS, "dosing-dragged");
        }
        tick();
        return performance.now();
      },
      moved: function () {
        const context = window.dash_clientside.callback_context;
        const names = context.triggered.map((part) => part.prop_id);
        if (names.some((name) => !name.includes("dosing-amount"))) ask();
        settled = later(settled, ADVICE_MS, "dosing-settled");
        return performance.now();
      },
      answered: function () {
        answer();
        return performance.now();
      },
      since: function (typed) {
        const text = (typed || "").trim();
        first = text ? Date.parse(text.replace(" ", "T")) : NaN;
        tick();
        if (!text) return [null, ""];
        if (Number.isNaN(first)) return [null, "Write the date and time as 2026-01-31 08:00."];
        const hours = (Date.now() - first) / HOUR_MS;
        return [hours, hours < 0 ? "The first dose is in the future: all of it is a plan." : ""];
      },
      texts: function () {
        const context = window.dash_clientside.callback_context;
        const value = {};
        context.inputs_list.flat().forEach((part) => { value[part.id.name] = part.value; });
        return context.outputs_list.map((out) => (value[out.id.name] + " " + out.id.unit).trim());
      },
    },
  });
})();
