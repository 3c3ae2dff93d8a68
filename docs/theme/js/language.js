// A change of language stays at the section that is read: the sections of both pages have the same ids.
document.getElementById("language")?.addEventListener("click", (event) => {
  const sections = [...document.querySelectorAll("[role=main] :is(h2, h3, h4)[id]")];
  const below = document.querySelector(".navbar").getBoundingClientRect().bottom + 50;
  const section = sections.findLast((heading) => heading.getBoundingClientRect().top < below);
  event.currentTarget.hash = section?.id ?? "";
});
