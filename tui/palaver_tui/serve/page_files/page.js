// Keys go to the chat from its first frame on, without a click.
addEventListener("DOMContentLoaded", () => {
  const body = document.body;
  const watch = new MutationObserver(() => {
    if (body.classList.contains("-first-byte")) {
      watch.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  });
  watch.observe(body, { attributes: true, attributeFilter: ["class"] });
});
