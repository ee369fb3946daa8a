// A page that is away for a moment comes back by itself.
(function () {
  "use strict";
  var waiting = document.querySelector("[data-comes-back]");
  if (!waiting) return;
  var path = waiting.getAttribute("data-comes-back");
  var gone = false;
  var asked = setInterval(function () {
    fetch(path, { redirect: "manual" }).then(
      function (answer) {
        if (gone && answer.ok) {
          clearInterval(asked);
          location.assign(path);
        }
      },
      function () {
        gone = true;
      }
    );
  }, 700);
})();
