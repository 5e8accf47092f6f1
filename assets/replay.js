/* /replay: moves the forecast along the day without the server (data: replay-frozen). */
(function () {
  "use strict";
  const FIRST_FAN_TRACE = 2; /* after ghosts and measured: p95, p05, p75, p25, median */
  const CURVES = [0, 1, 2, 3, 4];

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    replay: {
      scrub: function (value, frozen) {
        const k = Math.min(+value, frozen.origins.length - 1);
        const words = document.getElementById("replay-origin-text");
        const made = frozen.quantiles[k];
        if (words) words.textContent = frozen.origins[k].slice(11, 16) + (made ? "" : " (none: too few readings)");
        const graph = document.querySelector("#replay-graph .js-plotly-plot");
        if (!graph || !graph.data) return window.dash_clientside.no_update;
        const traces = CURVES.map((i) => FIRST_FAN_TRACE + i);
        const x = CURVES.map(() => (made ? frozen.times[k] : []));
        const y = CURVES.map((i) => (made ? made[i] : []));
        const rule = { "shapes[1].x0": frozen.origins[k], "shapes[1].x1": frozen.origins[k] };
        window.Plotly.update(graph, { x: x, y: y }, rule, traces);
        return performance.now();
      },
      label: function () {
        document.querySelectorAll("input[id^='retell-'][type='range']").forEach(function (input) {
          const text = document.getElementById(input.id + "-text");
          if (text) text.textContent = input.value + text.textContent.replace(/^-?[\d.]+/, "");
        });
        return window.dash_clientside.no_update;
      },
    },
  });
})();
