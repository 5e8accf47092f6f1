/* Says so when the server does not answer: the page would otherwise keep old values without a word. */
(function () {
  "use strict";
  const ask = window.fetch;
  let answered = new Date();

  function show(lost) {
    const banner = document.getElementById("server-lost");
    if (!banner) return;
    const clock = answered.toTimeString().slice(0, 5);
    banner.textContent = lost ? "The server does not answer. What you see is from " + clock + "; trying again." : "";
    banner.hidden = !lost;
  }

  window.fetch = async function () {
    try {
      const answer = await ask.apply(window, arguments);
      answered = new Date();
      show(false);
      return answer;
    } catch (error) {
      if (error.name !== "AbortError") show(true);
      throw error;
    }
  };
})();
