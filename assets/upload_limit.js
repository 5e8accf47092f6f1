/* dash's Upload leaves out files over its limit without a word; this says which, and what the limit is. */
(function () {
  "use strict";
  function check(files) {
    const place = document.getElementById("import-too-large");
    if (!place) return;
    const limit = Number(place.dataset.limitMb);
    const large = Array.from(files || []).filter((file) => file.size > limit * 1024 * 1024);
    const names = large.map((file) => file.name).join(", ");
    const words = names + ": more than " + limit + " MB in one file, so left out.";
    place.textContent = large.length ? words + " Split the record into smaller files." : "";
    place.hidden = !large.length;
  }

  document.addEventListener("change", function (event) {
    if (event.target.type === "file") check(event.target.files);
  }, true);
  document.addEventListener("drop", function (event) {
    if (event.dataTransfer && event.target.closest("#import-files")) check(event.dataTransfer.files);
  }, true);
})();
