/* dash's Upload renders a file input without a name; assistive technology reads this one. */
(function () {
  "use strict";
  function name() {
    for (const input of document.querySelectorAll('input[type="file"]:not([aria-label])')) {
      input.setAttribute("aria-label", "Files to import");
    }
  }
  new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true });
})();
