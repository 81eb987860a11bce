#!/usr/bin/env python3
"""The page of `lanerank serve`, in a headless Chromium (Debian: chromium, chromium-driver).

    python tools/server/checks/check_page.py target/release/lanerank

Follows a user through the page: paste, press, read the order, the bars, the words that matter and
the truncated tokens. Markup in texts must stay text, errors must show, and no other server may be
contacted.
"""

import json, subprocess, sys, tempfile
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from common import ROOT, Server

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
QUERY = "how do I keep bread fresh"
EVIL = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "<b>bold</b> bread"
)
TEXTS = [
    "The lighthouse was built in 1847.",
    EVIL,
    "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    "long " + "bread and water " * 300 + "unseen ending",
]


def rerank(driver, query, texts):
    driver.find_element(By.ID, "query").clear()
    driver.find_element(By.ID, "query").send_keys(query)
    # Set rather than typed, as pasting does.
    driver.execute_script(
        "document.getElementById('passages').value = arguments[0]", "\n".join(texts)
    )
    driver.find_element(By.ID, "go").click()
    status = lambda d: d.find_element(By.ID, "status").text
    WebDriverWait(driver, 30).until(lambda d: status(d) not in ("", "…"))
    return status(driver)


def check(driver, server, url, token):
    driver.get(url)
    select = driver.find_element(By.ID, "model")
    WebDriverWait(driver, 10).until(lambda d: select.find_elements(By.TAG_NAME, "option"))
    assert [o.text for o in Select(select).options] == ["default", "other"]
    said = rerank(driver, QUERY, TEXTS)
    assert said == "no valid bearer token", said
    driver.find_element(By.ID, "token").send_keys(token)
    said = rerank(driver, QUERY, TEXTS)
    assert said.startswith("4 passages in "), said
    headers = {"authorization": f"Bearer {token}"}
    want = server.post("/rerank", {"query": QUERY, "texts": TEXTS, "return_cut": True}, headers)
    items = driver.find_elements(By.CSS_SELECTOR, "#results li")
    assert len(items) == len(want)
    widths = []
    for item, rank in zip(items, want):
        # From the document: rendered text has its white space collapsed.
        text = item.find_element(By.CLASS_NAME, "text").get_property("textContent")
        assert text == TEXTS[rank["index"]], text
        assert not item.find_elements(By.TAG_NAME, "mark")
        item.find_element(By.CLASS_NAME, "why").click()
        WebDriverWait(driver, 30).until(lambda _: item.find_elements(By.TAG_NAME, "mark"))
        assert item.find_element(By.CLASS_NAME, "text").get_property("textContent") == text
        explained = server.post(
            "/rerank", {"query": QUERY, "texts": [text], "explain": True}, headers
        )[0]
        marks = item.find_elements(By.CSS_SELECTOR, ".text mark")
        effects = [
            (p["text"], p["effect"]) for p in explained["explanation"] if p["effect"] is not None
        ]
        assert [m.get_property("textContent") for m in marks] == [word for word, _ in effects]
        for mark, (_, effect) in zip(marks, effects):
            assert mark.get_attribute("class") == ("less" if effect < 0 else "more")
            assert abs(float(mark.get_attribute("title")) - effect) < 1e-3
        assert item.find_element(By.CSS_SELECTOR, ".score span").text == f"{rank['score']:.4f}"
        width = (
            item.find_element(By.CLASS_NAME, "bar").size["width"]
            / item.find_element(By.CLASS_NAME, "track").size["width"]
        )
        assert abs(width - rank["score"]) < 0.02, (width, rank["score"])
        widths.append(width)
        details = item.find_elements(By.TAG_NAME, "details")
        lost = rank["cut"]["passage_tokens"]
        assert bool(details) == (lost > 0)
        if details:
            assert (
                details[0]
                .find_element(By.TAG_NAME, "summary")
                .text.startswith(f"{lost} tokens cut")
            )
            details[0].find_element(By.TAG_NAME, "summary").click()
            assert details[0].find_element(By.TAG_NAME, "s").text.endswith("unseen ending")
    assert widths == sorted(widths, reverse=True)
    assert sum(r["cut"]["passage_tokens"] > 0 for r in want) == 1
    assert driver.title == "lanerank", "a text became a script"
    assert not driver.find_elements(By.CSS_SELECTOR, "#results img, #results b, #results script")
    Select(driver.find_element(By.ID, "side")).select_by_value("Left")
    rerank(driver, QUERY, TEXTS)
    details = driver.find_element(By.CSS_SELECTOR, "#results details")
    details.find_element(By.TAG_NAME, "summary").click()
    assert details.find_element(By.TAG_NAME, "s").text.startswith("long bread")
    said = rerank(driver, QUERY, [])
    assert said == "`texts` cannot be empty", said
    asked = driver.execute_script(
        "return performance.getEntries().filter(e => e.name.includes('://')).map(e => e.name)"
    )
    assert asked and all(name.startswith(url) for name in asked), asked
    errors = [
        e
        for e in driver.get_log("browser")
        if "favicon" not in e["message"] and "status of 4" not in e["message"]
    ]
    assert not errors, errors


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    default = ROOT / "src/assets/default.lane"
    models = ["--model", f"default={default}", "--model", f"other={default}", "--token", "a-token"]
    with tempfile.TemporaryDirectory() as profile, Server(sys.argv[1], *models) as server:
        options = webdriver.ChromeOptions()
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
        try:
            check(driver, server, server.url, "a-token")
        finally:
            driver.quit()
    print("the page works")


if __name__ == "__main__":
    main()
