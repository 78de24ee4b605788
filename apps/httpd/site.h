// What a web server has to give: a folder of files, and on request made-up bytes of any length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace limpid::apps {

// The content of a response, read piece by piece from any offset.
class Content {
 public:
  virtual ~Content() = default;
  virtual uint64_t size() const = 0;
  // Fills all of `into`, which lies within size(). False: it could not be read.
  virtual bool read(uint64_t offset, std::span<std::byte> into) = 0;
};

// What became of a request's path.
struct Found {
  enum class Kind { content, redirect, not_found, refused };
  Kind kind = Kind::not_found;
  std::unique_ptr<Content> content;
  std::string type;      // media type
  std::string location;  // of a redirect
};

class Site {
 public:
  // With `generated`, /bytes/N is N made-up bytes, the same ones each time.
  Site(const std::filesystem::path& root, bool generated);
  // `target` as in the request line: percent-encoded, perhaps with a query, which is ignored.
  Found find(std::string_view target) const;

 private:
  Found find_path(const std::string& path) const;

  std::filesystem::path root_;  // canonical
  bool generated_;
};

// The bytes of /bytes/N, from an offset.
void fill_generated(uint64_t offset, std::span<std::byte> into);

}  // namespace limpid::apps
