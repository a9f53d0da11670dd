// SPDX-License-Identifier: MIT
#include "words.hpp"

#include "bench.hpp"
#include "files.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

namespace bench {
namespace {

/// Numbers by weight, each in constant time: Walker's alias method, as Vose builds it.
class Alias {
 public:
  explicit Alias(const std::vector<double>& weights)
      : share_(weights.size()), other_(weights.size()) {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    std::vector<std::uint32_t> small;
    std::vector<std::uint32_t> large;
    for (std::uint32_t i = 0; i < weights.size(); ++i) {
      share_[i] = weights[i] / sum * static_cast<double>(weights.size());
      (share_[i] < 1 ? small : large).push_back(i);
    }
    while (!small.empty() && !large.empty()) {
      const std::uint32_t little = small.back();
      const std::uint32_t much = large.back();
      small.pop_back();
      other_[little] = much;
      share_[much] -= 1 - share_[little];
      if (share_[much] >= 1) continue;
      large.pop_back();
      small.push_back(much);
    }
    for (const std::uint32_t rest : small) share_[rest] = 1;
    for (const std::uint32_t rest : large) share_[rest] = 1;
  }

  std::uint32_t operator()(std::mt19937_64& random) const {
    const std::uint64_t bits = random();
    const auto place = static_cast<std::uint32_t>((bits >> 32) * share_.size() >> 32);
    const double coin = static_cast<double>(bits & 0xFFFF'FFFFU) * 0x1p-32;
    return coin < share_[place] ? place : other_[place];
  }

 private:
  std::vector<double> share_;
  std::vector<std::uint32_t> other_;
};

/// The k-th word: the more frequent ones are shorter. A word of a text by Zipf's law has 4.6
/// letters on average, as in English.
void append_word(std::uint64_t k, std::string& text) {
  for (k += 60; k != 0; k /= 8) text += "etaoinsh"[k % 8];
}

std::vector<double> weights(std::size_t distinct, bool uniform) {
  std::vector<double> all(distinct, 1.0);
  for (std::size_t k = 0; !uniform && k < distinct; ++k) all[k] /= static_cast<double>(k + 1);
  return all;
}

void write(const WordsFile& file, std::size_t mib, const std::vector<double>& all) {
  constexpr std::size_t kPart = std::size_t{1} << 20;
  const Alias next(all);
  std::mt19937_64 random(mib);
  std::ofstream out(file.path + ".draft", std::ios::binary);
  std::uint64_t words = 0;
  std::uint64_t sum = 0;
  std::uint64_t bytes = 0;
  std::string text;
  while (bytes < mib * kPart) {
    text.clear();
    while (text.size() < kPart) {
      const std::size_t begin = text.size();
      append_word(next(random), text);
      sum += digest(text.data() + begin, text.size() - begin);
      text += ++words % 12 == 0 ? '\n' : ' ';
    }
    out << text;
    bytes += text.size();
  }
  out.close();
  require(out.good(), "the text cannot be written");
  std::ofstream(file.path + ".facts") << bytes << ' ' << words << ' ' << sum << '\n';
  std::filesystem::rename(file.path + ".draft", file.path);
}

/// Some words, so many bytes of them.
std::string some_text(std::size_t bytes, const Alias& next, std::mt19937_64& random) {
  std::string text;
  while (text.size() < bytes) {
    append_word(next(random), text);
    text += ' ';
  }
  return text;
}

}  // namespace

std::string documents_folder(std::size_t count) {
  constexpr std::size_t kDistinct = 200'000;
  constexpr std::size_t kBytes = 20'000;
  const auto folder = own_folder() / ("documents-" + std::to_string(count));
  if (!std::filesystem::exists(folder)) {
    const Alias next(weights(kDistinct, false));
    std::mt19937_64 random(count);
    const std::string draft = folder.string() + ".draft";
    std::filesystem::create_directory(draft);
    for (std::size_t i = 0; i < count; ++i) {
      std::ofstream out(draft + "/" + std::to_string(1'000'000 + i), std::ios::binary);
      out << some_text(kBytes, next, random);
      require(out.good(), "a document cannot be written");
    }
    std::filesystem::rename(draft, folder);
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    bring_into_page_cache(entry.path());
  return folder;
}

WordsFile words_file(std::size_t mib, std::size_t distinct, bool uniform) {
  const auto folder = own_folder();
  WordsFile file;
  file.path = folder / ("words-" + std::to_string(mib) + "-" + std::to_string(distinct) +
                        (uniform ? "-uniform" : "") + ".txt");
  if (!std::filesystem::exists(file.path)) write(file, mib, weights(distinct, uniform));
  std::ifstream(file.path + ".facts") >> file.bytes >> file.words >> file.sum;
  require(file.bytes == std::filesystem::file_size(file.path), "the text is not what was written");
  bring_into_page_cache(file.path);
  return file;
}

}  // namespace bench
