// Draws the report's figures from the JSON in #data; colours are names of CSS variables, read anew when the
// theme changes.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("data").textContent);
  const names = ["--accent", "--accent-soft", "--teacher", "--other", "--ink", "--quiet", "--line", "--paper"];

  function themed(value, theme) {
    if (typeof value === "string") return theme[value] ?? value;
    if (Array.isArray(value)) return value.map((item) => themed(item, theme));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, theme)]));
  }

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const theme = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name).trim()]));
    for (const [id, figure] of Object.entries(figures)) {
      const { data, layout } = themed(figure, theme);
      Plotly.react(id, data, layout, { displayModeBar: false, responsive: true });
    }
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
