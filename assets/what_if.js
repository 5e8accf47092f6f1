/* The preview of /what-if: interpolates the twin's precomputed response while a slider is dragged.
   No network, no model: tables of differences [mg/dL] on nodes, from the server (plan-preview). Each table is exact
   on its nodes as long as only what it is about has moved since the server answered. */
(function () {
  "use strict";
  const QUIET_MS = 140;
  const STEP_MIN = 5;
  const NAMES = [
    "carbs_g", "carbs_in_min", "bolus_u", "bolus_in_min", "basal_percent",
    "exercise_min", "exercise_percent", "exercise_in_min",
  ];
  const WORDS = "Preview. The exact model follows when you let go.";
  let timer = null;
  let run = 0;

  function locate(nodes, value) {
    let i = 0;
    while (i < nodes.length - 2 && value > nodes[i + 1]) i += 1;
    const share = (value - nodes[i]) / (nodes[i + 1] - nodes[i]);
    return [i, Math.min(1, Math.max(0, share))];
  }

  function mix(a, b, share) {
    return a.map((v, k) => v + share * (b[k] - v));
  }

  function between(rows, nodes, value) {
    const [i, share] = locate(nodes, value);
    return mix(rows[i], rows[i + 1], share);
  }

  function less(a, b) {
    return a.map((v, k) => v - b[k]);
  }

  function shifted(curve, delayMin) {
    return curve.map(function (_, k) {
      const at = k + 1 - delayMin / STEP_MIN; /* curve[k] is at (k + 1) steps; 0 before the action */
      if (at <= 0) return 0;
      const j = Math.floor(at);
      const left = j === 0 ? 0 : curve[Math.min(j, curve.length) - 1];
      const right = curve[Math.min(j + 1, curve.length) - 1];
      return left + (at - j) * (right - left);
    });
  }

  function exercise(p, minutes, percent) {
    const byMinutes = p.exercise.map((row) => between(row, p.exercisePercentNodes, percent));
    return between(byMinutes, p.exerciseNodes, minutes);
  }

  function response(p, plan) {
    const was = p.plan;
    const neither = p.joint[0][0];
    const meal = between(p.joint.map((row) => row[0]), p.carbsNodes, plan.carbs_g);
    const both = between(p.joint.map((row) => between(row, p.bolusNodes, plan.bolus_u)), p.carbsNodes, plan.carbs_g);
    const m = shifted(less(meal, neither), plan.carbs_in_min - was.carbs_in_min);
    const b = shifted(less(both, meal), plan.bolus_in_min - was.bolus_in_min);
    const basal = between(p.basal, p.basalNodes, plan.basal_percent);
    const before = exercise(p, was.exercise_min, was.exercise_percent);
    const moved = exercise(p, plan.exercise_min, plan.exercise_percent);
    const e = less(shifted(moved, plan.exercise_in_min - was.exercise_in_min), before);
    return p.baseline.map((v, k) => Math.min(400, Math.max(40, v + neither[k] + m[k] + b[k] + basal[k] + e[k])));
  }

  function label(name, value) {
    const text = document.getElementById("plan-" + name + "-text");
    if (text) text.textContent = value + text.textContent.replace(/^-?[\d.]+/, "");
  }

  function draw(curve, perUnit) {
    const graph = document.querySelector("#what-if-graph .js-plotly-plot");
    const place = graph && graph.data ? graph.data.findIndex((trace) => trace.name === "preview") : -1;
    if (place >= 0) window.Plotly.restyle(graph, { y: [curve.map((v) => v * perUnit)] }, [place]);
  }

  /* Only when they change: each set_props renders the page's components anew. */
  function say() {
    const gap = document.getElementById("plan-gap");
    if (gap && gap.textContent !== WORDS) window.dash_clientside.set_props("plan-gap", { children: WORDS });
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    whatIf: {
      preview: function (...given) {
        const p = given[NAMES.length];
        const plan = Object.fromEntries(NAMES.map((name, i) => [name, +given[i]]));
        NAMES.forEach((name) => label(name, plan[name]));
        const curve = p && p.baseline.length ? response(p, plan) : [];
        draw(curve, p ? p.perUnit : 1);
        say();
        clearTimeout(timer);
        timer = setTimeout(function () {
          timer = null;
          run += 1;
          const settled = { run: run, preview: curve, now: p ? p.now : null };
          window.dash_clientside.set_props("plan-settled", { data: settled });
        }, QUIET_MS);
        return performance.now();
      },
      /* Time goes on, but never under somebody's hand. */
      tick: function (ticks) {
        return timer === null ? ticks : window.dash_clientside.no_update;
      },
      copy: function (clicks, href) {
        if (!clicks || !navigator.clipboard) return "The link can be copied from its context menu.";
        navigator.clipboard.writeText(window.location.origin + href);
        return "The link is copied.";
      },
    },
  });
})();
