/* /dosing: repaints the bands while a dose is dragged. The models are linear in the dose: without levels every curve
   of the doses given scales with the dose; the curves that follow are interpolated between amounts from the server
   (dosing-paint) and are exact on them. The server's own figure comes when the slider rests. */
(function () {
  "use strict";
  const DRAG_MS = 120;
  const QUIET_MS = 300;
  let dragged = null;
  let settled = null;
  let run = 0;
  let painted = { paint: null, factor: 1 };

  function between(nodes, curves, amount) {
    let i = 0;
    while (i < nodes.length - 2 && amount > nodes[i + 1]) i += 1;
    const share = (amount - nodes[i]) / (nodes[i + 1] - nodes[i]);
    return curves[i].map((curve, k) => curve.map((v, j) => Math.max(0, v + share * (curves[i + 1][k][j] - v))));
  }

  function paint(p, given, next) {
    const graph = document.querySelector("#dosing-graph .js-plotly-plot");
    if (!graph || !graph.data || !p) return;
    const factor = p.history.length ? given / p.given : 1;
    if (!p.history.length && given !== p.given) return;
    const was = painted.paint === p ? painted.factor : 1;
    painted = { paint: p, factor: factor };
    const moved = factor === was ? [] : p.history;
    const curves = moved.map((each) => [each.name, each.y.map((v) => v * factor)]);
    if (factor > 0) {
      between(p.following.nodes, p.following.curves, next / factor).forEach(function (curve, k) {
        curves.push([p.following.names[k], curve.map((v) => v * factor)]);
      });
    }
    const place = Object.fromEntries(graph.data.map((trace, i) => [trace.name, i]));
    const known = curves.filter((pair) => pair[0] in place);
    window.Plotly.restyle(graph, { y: known.map((pair) => pair[1]) }, known.map((pair) => place[pair[0]]));
  }

  function later(timer, wait, store) {
    clearTimeout(timer);
    return setTimeout(function () {
      run += 1;
      if (document.getElementById("dosing-drug")) window.dash_clientside.set_props(store, { data: run });
    }, wait);
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    dosing: {
      drag: function (amounts, p) {
        const parts = window.dash_clientside.callback_context.inputs_list[0];
        const value = Object.fromEntries(parts.map((part) => [part.id.name, +part.value]));
        paint(p, value.amount_mg, value.next_amount_mg);
        dragged = later(dragged, DRAG_MS, "dosing-dragged");
        return performance.now();
      },
      moved: function () {
        settled = later(settled, QUIET_MS, "dosing-settled");
        return performance.now();
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
