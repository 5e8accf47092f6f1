/* /learn/euler: draws the script at any step from the table that came with the page (euler-steps). */
(function () {
  "use strict";
  const SCRIPT_TRACES = [1, 3]; /* concentration and gut, as figures/lessons.py lays them */
  const STEP_H = 0.1;

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    lessons: {
      euler: function (value, steps) {
        const place = Math.min(steps.length - 1, Math.max(0, Math.round(+value / STEP_H) - 1));
        const step = steps[place];
        const words = document.getElementById("euler-step-text");
        if (words) words.textContent = (+value).toFixed(1) + " h";
        step.findings.forEach(function (finding, i) {
          const cell = document.getElementById("euler-finding-" + i);
          if (cell) cell.textContent = finding;
        });
        const graph = document.querySelector("#euler-graph .js-plotly-plot");
        if (!graph || !graph.data) return window.dash_clientside.no_update;
        const ranges = { "yaxis.range": step.range, "yaxis2.range": step.gutRange };
        window.Plotly.update(graph, { x: [step.x, step.x], y: [step.y, step.gut] }, ranges, SCRIPT_TRACES);
        return performance.now();
      },
    },
  });
})();
