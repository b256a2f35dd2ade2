#include "lib/transport/image_access.h"

#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/testing/test_page_server.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const ClientIdentity kWeb({"CN:web"});

class ImageAccessTest : public ::testing::Test {
 protected:
  ImageAccessTest() {
    for (const char* name : {"db/1", "web/1", "web/2"}) {
      catalog_.Put(name, std::make_shared<FakePageStore>(
                             OneTaskImage(1, {PageId(0), PageCount(4)})));
    }
    std::ofstream(dir_.Join("policy")) << "allow CN:web web/*\n";
    policy_ = *LoadAccessPolicy(dir_.Join("policy"));
  }

  TempDir dir_;
  FakeCatalog catalog_;
  std::unique_ptr<AccessPolicyFile> policy_;
};

TEST_F(ImageAccessTest, WithoutAPolicyAllIsOpen) {
  const ImageAccess images(catalog_);
  EXPECT_THAT(images.Names(ClientIdentity({})),
              ElementsAre("db/1", "web/1", "web/2"));
  EXPECT_OK(images.Open(ClientIdentity({}), "db/1"));
}

TEST_F(ImageAccessTest, AClientSeesWhatItMayOpen) {
  const ImageAccess images(catalog_, policy_.get());
  EXPECT_THAT(images.Names(kWeb), ElementsAre("web/1", "web/2"));
  EXPECT_OK(images.Open(kWeb, "web/1"));
  EXPECT_OK(images.OpenWorkingSet(kWeb, "web/1"));
}

TEST_F(ImageAccessTest, WhatItMayNotOpenIsRefusedWhetherItIsThereOrNot) {
  const ImageAccess images(catalog_, policy_.get());
  for (const char* name : {"db/1", "db/none", ""}) {
    EXPECT_THAT(images.Open(kWeb, name),
                StatusIs(absl::StatusCode::kPermissionDenied,
                         HasSubstr("CN:web may not open image")));
    EXPECT_THAT(images.OpenWorkingSet(kWeb, name),
                StatusIs(absl::StatusCode::kPermissionDenied));
  }
}

TEST_F(ImageAccessTest, AnUnknownNameIsToldNoOthersThanItsOwn) {
  const ImageAccess images(catalog_, policy_.get());
  for (const absl::Status& status :
       {images.Open(kWeb, "web/3").status(),
        images.OpenWorkingSet(kWeb, "web/3").status()}) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                                 AllOf(HasSubstr("web/1, web/2"),
                                       Not(HasSubstr("db/1")))));
  }
}

TEST_F(ImageAccessTest, WhoIsRefusedSeesNothingWithoutAPolicyEither) {
  const ClientIdentity refused = ClientIdentity::Refused("it has expired");
  const ImageAccess images(catalog_);
  EXPECT_THAT(images.Names(refused), ::testing::IsEmpty());
  EXPECT_THAT(images.Open(refused, "web/1"),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       HasSubstr("it has expired")));
  EXPECT_THAT(images.OpenWorkingSet(refused, "web/1"),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(ImageAccessTest, ABrokenImageIsAFactAboutTheServersFiles) {
  catalog_.Break("web/1", absl::InvalidArgumentError("no magic"));
  EXPECT_THAT(
      ImageAccess(catalog_).Open(kWeb, "web/1"),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no magic")));
}

}  // namespace
}  // namespace pagelift
