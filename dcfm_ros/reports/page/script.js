"use strict";
// Times are in seconds since the recording began, unlike positions in the video: its frames follow each other without gaps.
const video = document.querySelector("video");
const frames = video ? JSON.parse(document.getElementById("video-times").textContent) : [];
const plots = [...document.querySelectorAll(".plot")].map(element => ({
  element, begin: Number(element.dataset.begin), end: Number(element.dataset.end),
  points: JSON.parse(element.querySelector("script").textContent),
}));

const place = (plot, time) => 100 * (time - plot.begin) / (plot.end - plot.begin || 1);
const show = (element, visible) => { element.hidden = !visible; };
const covered = () => document.getElementById("covered");
const inVideo = time => time > frames[0] - 0.5 && time < frames.at(-1) + 0.5;
const frameShown = () => Math.min(frames.length - 1, Math.floor(video.currentTime / video.duration * frames.length));

function seek(time) {
  if (!video || !Number.isFinite(video.duration)) return;
  if (!inVideo(time)) {
    covered().textContent = `${time.toFixed(1)} s is not in the video, which covers ${coverage()}.`;
    return;
  }
  covered().textContent = `Covers ${coverage()}.`;
  video.currentTime = (nearest(frames, time) + 0.5) * video.duration / frames.length;
  video.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

const coverage = () => `${frames[0].toFixed(1)} s to ${frames.at(-1).toFixed(1)} s of the recording`;

function showCoverage() {
  covered().textContent = `Covers ${coverage()}.`;
  for (const button of document.querySelectorAll(".seek")) show(button, inVideo(Number(button.dataset.time)));
  for (const plot of plots) {
    const cover = plot.element.querySelector(".cover");
    const from = Math.max(0, place(plot, frames[0])), to = Math.min(100, place(plot, frames.at(-1)));
    cover.style.left = `${from}%`;
    cover.style.width = `${Math.max(0, to - from)}%`;
  }
}

function showPlayhead() {
  for (const plot of plots) {
    const head = plot.element.querySelector(".playhead"), at = place(plot, frames[frameShown()]);
    show(head, at >= 0 && at <= 100);
    head.style.left = `${at}%`;
  }
}

function nearest(times, time) {
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] > time) high = middle; else low = middle;
  }
  return Math.abs(times[high] - time) < Math.abs(times[low] - time) ? high : low;
}

function fillTip(tip, points, i) {
  const title = document.createElement("b");
  title.textContent = points.stamp[i];
  const rows = [["time", `${points.time[i].toFixed(2)} s`], ["score", points.score[i]], ["keyframe", points.reason[i] ?? "no"],
    ["feature age", `${points.age_frames[i]} ${points.age_frames[i] === 1 ? "frame" : "frames"}, ${points.age_s[i]} s`], ["latency", `${points.latency[i]} ms`]];
  if (points.flicker[i] !== null) rows.push(["flicker", `${(100 * points.flicker[i]).toFixed(2)} %`]);
  if (points.miou[i] !== null) rows.push(["mIoU", `${(100 * points.miou[i]).toFixed(1)} %`]);
  tip.replaceChildren(title, ...rows.map(([name, value]) => {
    const row = document.createElement("div");
    for (const text of [name, value]) row.appendChild(document.createElement("span")).textContent = text ?? "–";
    return row;
  }));
}

for (const plot of plots) {
  const { element, points } = plot;
  const cursor = element.querySelector(".cursor"), tip = element.querySelector(".tip");
  const timeAt = event => {
    const box = element.getBoundingClientRect();
    return plot.begin + (plot.end - plot.begin) * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  element.addEventListener("pointermove", event => {
    const i = nearest(points.time, timeAt(event)), at = place(plot, points.time[i]);
    fillTip(tip, points, i);
    cursor.style.left = `${at}%`;
    show(cursor, true);
    show(tip, true);
    const left = element.clientWidth * at / 100, width = tip.offsetWidth;
    tip.style.left = `${left + 12 + width < element.clientWidth ? left + 12 : Math.max(-28, left - 12 - width)}px`;
  });
  element.addEventListener("pointerleave", () => { show(cursor, false); show(tip, false); });
  element.addEventListener("click", event => seek(timeAt(event)));
}

for (const button of document.querySelectorAll(".seek")) button.addEventListener("click", () => seek(Number(button.dataset.time)));
for (const picture of document.querySelectorAll("figure img"))
  picture.addEventListener("click", () => picture.closest("figure").classList.toggle("wide"));
for (const code of document.querySelectorAll(".copy")) code.addEventListener("click", () => {
  // The click has selected the text already; where the clipboard is closed to the page, Ctrl+C copies it.
  navigator.clipboard?.writeText(code.textContent).then(() => {
    code.classList.add("done");
    setTimeout(() => code.classList.remove("done"), 900);
  }, () => {});
});

if (video) {
  video.addEventListener("loadedmetadata", showCoverage);
  if (video.readyState >= 1) showCoverage();
  for (const event of ["timeupdate", "seeked"]) video.addEventListener(event, showPlayhead);
}
