#include "apps/httpd/site.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace limpid::apps {
namespace {

class FileContent : public Content {
 public:
  FileContent(int fd, uint64_t size) : fd_(fd), size_(size) {}
  ~FileContent() override { ::close(fd_); }
  FileContent(const FileContent&) = delete;
  FileContent& operator=(const FileContent&) = delete;

  uint64_t size() const override { return size_; }
  bool read(uint64_t offset, std::span<std::byte> into) override {
    while (!into.empty()) {
      const ssize_t n = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
      if (n <= 0) return false;  // an error, or the file became shorter
      offset += static_cast<uint64_t>(n);
      into = into.subspan(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  int fd_;
  uint64_t size_;
};

class TextContent : public Content {
 public:
  explicit TextContent(std::string text) : text_(std::move(text)) {}
  uint64_t size() const override { return text_.size(); }
  bool read(uint64_t offset, std::span<std::byte> into) override {
    std::memcpy(into.data(), text_.data() + offset, into.size());
    return true;
  }

 private:
  std::string text_;
};

class GeneratedContent : public Content {
 public:
  explicit GeneratedContent(uint64_t size) : size_(size) {}
  uint64_t size() const override { return size_; }
  bool read(uint64_t offset, std::span<std::byte> into) override {
    fill_generated(offset, into);
    return true;
  }

 private:
  uint64_t size_;
};

std::string media_type(const std::filesystem::path& path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".htm", "text/html; charset=utf-8"},
      {".css", "text/css"},
      {".js", "text/javascript"},
      {".json", "application/json"},
      {".txt", "text/plain; charset=utf-8"},
      {".md", "text/plain; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".jpg", "image/jpeg"},
      {".gif", "image/gif"},
      {".pdf", "application/pdf"},
  }};
  const std::string extension = path.extension().string();
  for (const auto& [ending, type] : kTypes)
    if (ending == extension) return std::string(type);
  return "application/octet-stream";
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Nothing when an escape is broken, or hides a NUL that would end the name for the operating system.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return {};
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return {};
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool climbs(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return false;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~/").contains(c);
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string directory_listing(const std::filesystem::path& directory, const std::string& path) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    names.push_back(entry.path().filename().string() + (entry.is_directory(ignored) ? "/" : ""));
  std::ranges::sort(names);
  std::string html =
      fmt::format("<!doctype html>\n<meta charset=utf-8>\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n", escaped(path));
  for (const std::string& name : names)
    html += fmt::format("<li><a href=\"{}\">{}</a>\n", percent_encoded(name), escaped(name));
  return html + "</ul>\n";
}

// The canonical path's first elements must be the root's: a symbolic link must not lead out either.
bool lies_within(const std::filesystem::path& path, const std::filesystem::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

Found open_file(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return {.kind = errno == EACCES ? Found::Kind::refused : Found::Kind::not_found,
            .content = {},
            .type = {},
            .location = {}};
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    return {};
  }
  return {.kind = Found::Kind::content,
          .content = std::make_unique<FileContent>(fd, static_cast<uint64_t>(status.st_size)),
          .type = media_type(path),
          .location = {}};
}

}  // namespace

void fill_generated(uint64_t offset, std::span<std::byte> into) {
  uint64_t word = 0;
  for (size_t i = 0; i < into.size(); ++i, ++offset) {
    if (i == 0 || offset % 8 == 0) {  // splitmix64 of the word's number
      word = (offset / 8 + 1) * 0x9e3779b97f4a7c15;
      word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
      word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
      word ^= word >> 31;
    }
    into[i] = static_cast<std::byte>(word >> (offset % 8 * 8));
  }
}

Site::Site(const std::filesystem::path& root, bool generated)
    : root_(std::filesystem::canonical(root)), generated_(generated) {}

Found Site::find(std::string_view target) const {
  const auto path = percent_decoded(target.substr(0, target.find_first_of("?#")));
  if (!path || !path->starts_with('/') || climbs(*path))
    return {.kind = Found::Kind::refused, .content = {}, .type = {}, .location = {}};
  constexpr std::string_view kGenerated = "/bytes/";
  if (generated_ && path->starts_with(kGenerated)) {
    uint64_t size = 0;
    const char* end = path->data() + path->size();
    const auto [stop, error] = std::from_chars(path->data() + kGenerated.size(), end, size);
    if (error != std::errc{} || stop != end) return {};
    return {.kind = Found::Kind::content,
            .content = std::make_unique<GeneratedContent>(size),
            .type = "application/octet-stream",
            .location = {}};
  }
  return find_path(*path);
}

Found Site::find_path(const std::string& path) const {
  std::error_code error;
  const auto file = std::filesystem::canonical(root_ / path.substr(1), error);
  if (error) return {};
  if (!lies_within(file, root_)) return {.kind = Found::Kind::refused, .content = {}, .type = {}, .location = {}};
  if (!std::filesystem::is_directory(file, error)) return open_file(file);
  if (!path.ends_with('/'))
    return {.kind = Found::Kind::redirect, .content = {}, .type = {}, .location = percent_encoded(path) + "/"};
  // The index may be a symbolic link too: it takes the same way.
  if (std::filesystem::is_regular_file(file / "index.html", error)) return find_path(path + "index.html");
  return {.kind = Found::Kind::content,
          .content = std::make_unique<TextContent>(directory_listing(file, path)),
          .type = "text/html; charset=utf-8",
          .location = {}};
}

}  // namespace limpid::apps
