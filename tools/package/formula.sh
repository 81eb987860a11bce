#!/usr/bin/env bash
# Prints the Homebrew formula of a release: builds from the source archive of its tag.
#
#     tools/package/formula.sh VERSION SHA256
set -euo pipefail
[[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+ && $2 =~ ^[0-9a-f]{64}$ ]] ||
    { echo "not a version and a SHA-256: $*"; exit 2; }
cat <<END
class Lanerank < Formula
  desc "Rerank search results with a small cross-encoder on an ordinary CPU"
  homepage "https://github.com/lanerank/lanerank"
  url "https://github.com/lanerank/lanerank/archive/refs/tags/v$1.tar.gz"
  sha256 "$2"
  license all_of: [{ any_of: ["MIT", "Apache-2.0"] }, "CC-BY-SA-4.0"]

  depends_on "rust" => :build
  # Until CI's job on macOS is green.
  depends_on :linux

  def install
    system "cargo", "install", "--profile", "dist", "--features", "full",
           *std_cargo_args(path: "tools/cli")
    generate_completions_from_executable(bin/"lanerank", "completions")
    system bin/"lanerank", "man", buildpath/"man"
    man1.install Dir["man/*.1"]
  end

  test do
    ranked = pipe_output("#{bin}/lanerank rerank --query 'fresh bread'", "bread in a box\n", 0)
    assert_match "bread in a box", ranked
  end
end
END
