/* The preview of /what-if: interpolates the twin's precomputed response while a slider is dragged.
   No network, no model: tables of differences [mg/dL] on nodes, from the server (plan-preview). */
(function () {
  "use strict";
  const QUIET_MS = 140;
  const STEP_MIN = 5;
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

  function response(p, plan) {
    const withBolus = p.joint.map((row) => between(row, p.bolusNodes, plan.bolus_u));
    const noBolus = p.joint.map((row) => row[0]);
    const meal = between(noBolus, p.carbsNodes, plan.carbs_g);
    const both = between(withBolus, p.carbsNodes, plan.carbs_g);
    const bolus = both.map((v, k) => v - meal[k]);
    const basal = between(p.basal, p.basalNodes, plan.basal_percent);
    const m = shifted(meal, plan.carbs_in_min - p.mealAt);
    const b = shifted(bolus, plan.bolus_in_min - p.bolusAt);
    return p.baseline.map((v, k) => Math.min(400, Math.max(40, v + m[k] + b[k] + basal[k])));
  }

  function label(name, value) {
    const text = document.getElementById("plan-" + name + "-text");
    if (text) text.textContent = value + text.textContent.replace(/^-?[\d.]+/, "");
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    whatIf: {
      preview: function (carbs, carbsIn, bolus, bolusIn, basal, p) {
        const plan = { carbs_g: +carbs, carbs_in_min: +carbsIn, bolus_u: +bolus, bolus_in_min: +bolusIn, basal_percent: +basal };
        Object.entries(plan).forEach(([name, value]) => label(name, value));
        const curve = response(p, plan);
        const graph = document.querySelector("#what-if-graph .js-plotly-plot");
        if (graph && graph.data) {
          const last = graph.data.length - 1;
          window.Plotly.restyle(graph, { y: [curve.map((v) => v * p.perUnit)] }, [last]);
        }
        window.dash_clientside.set_props("plan-gap", { children: "Preview. The exact model follows when you let go." });
        clearTimeout(timer);
        timer = setTimeout(function () {
          run += 1;
          window.dash_clientside.set_props("plan-settled", { data: { run: run, preview: curve } });
        }, QUIET_MS);
        return performance.now();
      },
    },
  });
})();
