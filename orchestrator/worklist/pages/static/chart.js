// The operations page: numbers that change in place, and the curve of the lag.
(function () {
  "use strict";
  var now = document.getElementById("now");
  if (!now) return;
  var pause = document.getElementById("pause");
  var says = document.getElementById("pause-says");
  var held = false;
  pause.hidden = false;
  pause.addEventListener("click", function () {
    held = !held;
    pause.setAttribute("aria-pressed", String(held));
    says.textContent = held ? "Paused: the numbers below do not change." : "";
  });
  setInterval(function () {
    if (held || document.hidden || now.contains(document.activeElement)) return;
    fetch(now.dataset.from, { headers: { "HX-Request": "true" } }).then(
      function (answer) {
        if (!answer.ok) throw new Error();
        return answer.text().then(function (text) {
          if (!held) now.innerHTML = text;
          if (!held) says.textContent = "";
        });
      }
    ).catch(function () {
      says.textContent = "Not updating. The numbers are as they were.";
    });
  }, Number(now.dataset.every) * 1000);

  var place = document.getElementById("chart");
  var points = JSON.parse(place.dataset.points);
  if (!points.length || typeof uPlot === "undefined") return;
  var marks = JSON.parse(place.dataset.marks);
  var told = document.getElementById("chart-says");
  place.hidden = false;
  var style = getComputedStyle(document.documentElement);
  var ink = style.getPropertyValue("--grey").trim();
  var line = style.getPropertyValue("--line").trim();
  var at = points.map(function (p) { return p[0]; });
  var behind = points.map(function (p) { return p[1]; });
  function words(seconds) {
    if (seconds === null || seconds === undefined) return "not known";
    if (seconds < 60) return Math.round(seconds) + " s";
    if (seconds < 7200) return Math.round(seconds / 60) + " min";
    return Math.round(seconds / 360) / 10 + " h";
  }
  function drawMarks(u) {
    u.ctx.save();
    u.ctx.strokeStyle = u.ctx.fillStyle = ink;
    u.ctx.setLineDash([4, 4]);
    marks.forEach(function (mark) {
      var x = u.valToPos(mark[0], "x", true);
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
      u.ctx.fillText(mark[1], x + 4, u.bbox.top + 14);
    });
    u.ctx.restore();
  }
  var axis = { stroke: ink, grid: { stroke: line }, ticks: { stroke: line } };
  function clock(seconds, long) {
    var how = { timeZone: place.dataset.zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (long) how.weekday = "short";
    return new Date(seconds * 1e3).toLocaleString("en-GB", how);
  }
  var days = at[at.length - 1] - at[0] > 86400;
  var u = new uPlot(
    {
      width: place.clientWidth,
      height: 250,
      tzDate: function (ts) { return uPlot.tzDate(new Date(ts * 1e3), place.dataset.zone); },
      legend: { show: false },
      scales: { y: { range: function (_u, _min, max) { return [0, Math.max(max || 0, 10)]; } } },
      series: [{}, { label: "behind", stroke: "#1d6fb8", width: 2, points: { show: points.length < 30 } }],
      axes: [Object.assign({ values: function (_u, all) { return all.map(function (x) { return clock(x, days); }); } }, axis), Object.assign({ size: 70, values: function (_u, all) { return all.map(words); } }, axis)],
      hooks: { draw: [drawMarks] }
    },
    [at, behind],
    place
  );
  window.addEventListener("resize", function () { u.setSize({ width: place.clientWidth, height: 250 }); });
  var cursor = at.length - 1;
  place.addEventListener("keydown", function (event) {
    var step = { ArrowLeft: -1, ArrowRight: 1, Home: -at.length, End: at.length }[event.key];
    if (!step) return;
    event.preventDefault();
    cursor = Math.max(0, Math.min(at.length - 1, cursor + step));
    u.setCursor({ left: u.valToPos(at[cursor], "x"), top: u.valToPos(behind[cursor] || 0, "y") });
    told.textContent = clock(at[cursor], true) + ": " + words(behind[cursor]) + " behind";
  });
})();
