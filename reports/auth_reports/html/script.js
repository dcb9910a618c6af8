"use strict";
// The page is complete without this: it filters the table, copies commands and opens what a link points into.
(() => {
  const bar = document.getElementById("filter");
  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  const bodies = [...document.querySelectorAll("#results-table > tbody")];
  const haystack = bodies.map((body) => body.rows[0].textContent.toLowerCase());

  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    bodies.forEach((body, index) => {
      const fits = (!verdict.value || body.dataset.state === verdict.value) &&
        words.every((word) => haystack[index].includes(word));
      body.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = `${shown} of ${bodies.length} shown`;
  };
  bar.hidden = false;
  text.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      text.focus();
    }
  });

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden) {
      text.value = "";
      verdict.value = "";
      filter();
    }
    if (target.tagName === "TBODY") target.querySelector("details").open = true;
    for (let up = target; up; up = up.parentElement) {
      if (up.tagName === "DETAILS") up.open = true;
    }
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not(.deep, .proof details)").forEach((item) => { item.open = true; });
  });

  if (navigator.clipboard) {
    document.querySelectorAll(".copyable").forEach((box) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy the command");
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(box.querySelector("code").textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      box.append(button);
    });
  }
})();
